"""FSRCNN: SRCNN at the input's size, an hourglass of features, a deconvolution at the end.

Dong et al., "Accelerating the Super-Resolution Convolutional Neural Network", ECCV 2016, section 3.2 and table 1:
Conv(5, d, 1) - Conv(1, s, d) - m x Conv(3, s, s) - Conv(1, d, s) - DeConv(9, 1, d), PReLU after each convolution.
Borders are repeated: without a picture that is added at the end, zeros around small training patches are most of what
it would learn about.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.initial import GREY, he, normal
from sharpline.lab.networks.registry import Network, NetworkConfig, register


class FsrcnnConfig(NetworkConfig):
    """Hyper-parameters of FSRCNN.

    Attributes:
        channels: the paper's d, features at both ends.
        inner: the paper's s, features between the 1x1 convolutions.
        depth: the paper's m, number of 3x3 convolutions between them.
    """

    family: Literal["fsrcnn"] = "fsrcnn"
    scale: Literal[2, 3, 4] = 4
    colour: Literal["rgb", "y"] = "y"
    channels: int = Field(default=56, ge=1, le=512)
    inner: int = Field(default=12, ge=1, le=512)
    depth: int = Field(default=4, ge=0, le=64)


@register("fsrcnn", FsrcnnConfig)
class Fsrcnn(Network):
    """FSRCNN on Y.

    Example:
        >>> import torch
        >>> net = Fsrcnn(FsrcnnConfig(scale=3))
        >>> net(torch.rand(1, 1, 5, 7)).shape
        torch.Size([1, 1, 15, 21])
    """

    config: FsrcnnConfig

    def __init__(self, config: FsrcnnConfig) -> None:
        super().__init__()
        self.config = config
        d, s, scale = config.channels, config.inner, config.scale
        shapes = ((config.colours, d, 5), (d, s, 1), *[(s, s, 3)] * config.depth, (s, d, 1))
        self.convs = nn.ModuleList(
            he(nn.Conv2d(i, o, k, padding=k // 2, padding_mode="replicate")) for i, o, k in shapes
        )
        self.slopes = nn.ModuleList(nn.PReLU(o) for _, o, _ in shapes)
        # A pixel of the result sees 9 of the enlarged features: with these repeated around, all of them are there.
        self.around = (3 + scale) // scale
        padding = 4 + self.around * scale
        tail = nn.ConvTranspose2d(d, config.colours, 9, scale, padding=padding, output_padding=scale - 1)
        self.tail = normal(tail, 0.001)

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        x = lr - GREY
        for conv, slope in zip(self.convs, self.slopes, strict=True):
            x = slope(conv(x))
        sr: Tensor = self.tail(F.pad(x, (self.around,) * 4, mode="replicate"))
        return sr + GREY
