"""compact: Real-ESRGAN's small networks (SRVGGNetCompact), a plain stack in the manner of VGG.

Wang et al., "Real-ESRGAN", ICCVW 2021, and its published code (v0.3): 3x3 convolutions with PReLU at the input's
size, a pixel shuffle, and the input, enlarged by repeating pixels, added.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.registry import Network, NetworkConfig, register


class CompactConfig(NetworkConfig):
    """Hyper-parameters of compact; the defaults are those of ``realesr-animevideov3``.

    Attributes:
        channels: width of the body.
        depth: number of body convolutions (channels -> channels); 32 in ``realesr-general-x4v3``.
    """

    family: Literal["compact"] = "compact"
    channels: int = Field(default=64, ge=1, le=512)
    depth: int = Field(default=16, ge=0, le=64)


@register("compact", CompactConfig)
class Compact(Network):
    """Real-ESRGAN's compact network on RGB.

    Example:
        >>> import torch
        >>> net = Compact(CompactConfig(scale=2, channels=8, depth=2))
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    config: CompactConfig

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.convs = nn.ModuleList(
            nn.Conv2d(inputs, c, 3, padding=1) for inputs in (config.colours, *[c] * config.depth)
        )
        self.slopes = nn.ModuleList(nn.PReLU(c) for _ in self.convs)
        self.tail = nn.Conv2d(c, config.colours * config.scale**2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        x = lr
        for conv, slope in zip(self.convs, self.slopes, strict=True):
            x = slope(conv(x))
        s = self.config.scale
        return F.pixel_shuffle(self.tail(x), s) + F.interpolate(lr, scale_factor=float(s), mode="nearest")
