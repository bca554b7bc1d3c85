"""IMDN: information multi-distillation.

Hui et al., "Lightweight Image Super-Resolution with Information Multi-distillation Network",
ACM MM 2019, figure 2 and table 1. Each block sets a quarter of its channels aside after every
convolution and refines the rest.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.registry import Network, NetworkConfig, register

_SLOPE = 0.05  # of every leaky ReLU


class ImdnConfig(NetworkConfig):
    """Hyper-parameters of IMDN.

    Attributes:
        channels: width, a multiple of 4.
        blocks: number of distillation blocks.
        form: ``paper`` weighs channels by their contrast and joins the outputs of all blocks;
            ``ntire`` is the baseline of the NTIRE efficiency challenges, which does neither.
    """

    family: Literal["imdn"] = "imdn"
    channels: int = Field(default=64, ge=4, le=512, multiple_of=4)
    blocks: int = Field(default=6, ge=1, le=64)
    form: Literal["paper", "ntire"] = "paper"


class ContrastAttention(nn.Module):
    """Weighs each channel by a function of its standard deviation plus mean over the picture (section 3.3)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(channels // reduction, 1)
        self.squeeze = nn.Conv2d(channels, inner, 1)
        self.excite = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        mean = x.mean((2, 3), keepdim=True)
        contrast = ((x - mean).square().mean((2, 3), keepdim=True) + 1e-12).sqrt() + mean  # a gradient at 0 too
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(contrast))))


class DistillationBlock(nn.Module):
    """Three times: convolve, set a quarter aside, go on with the rest; then fuse the four quarters."""

    def __init__(self, channels: int, attention: bool) -> None:
        super().__init__()
        kept = channels // 4
        rest = channels - kept
        self.refine = nn.ModuleList(nn.Conv2d(n, channels, 3, padding=1) for n in (channels, rest, rest))
        self.last = nn.Conv2d(rest, kept, 3, padding=1)
        self.attention = ContrastAttention(channels) if attention else nn.Identity()
        self.fuse = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        kept, rest = [], x
        for convolve, following in zip(self.refine, (*self.refine[1:], self.last), strict=True):
            features = F.leaky_relu(convolve(rest), _SLOPE)
            aside = features.shape[1] - following.in_channels
            kept.append(features[:, :aside])
            rest = features[:, aside:]
        kept.append(self.last(rest))
        fused: Tensor = self.fuse(self.attention(torch.cat(kept, 1)))
        return x + fused


@register("imdn", ImdnConfig)
class Imdn(Network):
    """IMDN on RGB.

    Example:
        >>> import torch
        >>> net = Imdn(ImdnConfig(scale=2, channels=16, blocks=2))
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    config: ImdnConfig

    def __init__(self, config: ImdnConfig) -> None:
        super().__init__()
        self.config = config
        c, whole = config.channels, config.form == "paper"
        self.head = nn.Conv2d(config.colours, c, 3, padding=1)
        self.body = nn.ModuleList(DistillationBlock(c, attention=whole) for _ in range(config.blocks))
        self.join = nn.Conv2d(c * config.blocks, c, 1) if whole else None
        self.after = nn.Conv2d(c, c, 3, padding=1)
        self.tail = nn.Conv2d(c, config.colours * config.scale**2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        first = x = self.head(lr)
        outputs = []
        for block in self.body:
            x = block(x)
            outputs.append(x)
        if self.join is not None:
            x = F.leaky_relu(self.join(torch.cat(outputs, 1)), _SLOPE)
        return F.pixel_shuffle(self.tail(self.after(x) + first), self.config.scale)
