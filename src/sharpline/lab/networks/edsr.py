"""EDSR-baseline: residual blocks without batch norm, at the input's size.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017, section 3 and table 1,
column "baseline". Initialised as torch does by default, like the authors' code.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.registry import Network, NetworkConfig, register

_DIV2K_MEAN = (0.4488, 0.4371, 0.4040)  # red, green, blue


class EdsrConfig(NetworkConfig):
    """Hyper-parameters of EDSR.

    Attributes:
        channels: width.
        blocks: number of residual blocks.
        mean_shift: take DIV2K's mean colour off the input and add it to the output. The authors' weights need it; it
            cannot go into a bias, because the border is filled with zeros after it. Trained afresh it changes nothing.
    """

    family: Literal["edsr"] = "edsr"
    scale: Literal[2, 3, 4] = 4
    channels: int = Field(default=64, ge=1, le=512)
    blocks: int = Field(default=16, ge=1, le=64)
    mean_shift: bool = False

    @model_validator(mode="after")
    def _mean_has_colours(self) -> Self:
        if self.mean_shift and self.colour != "rgb":
            raise ValueError("mean_shift is a colour of DIV2K: choose colour rgb, or leave it out")
        return self


class ResidualBlock(nn.Module):
    """Convolution, ReLU, convolution, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        residual: Tensor = self.second(F.relu(self.first(x)))
        return x + residual


@register("edsr", EdsrConfig)
class Edsr(Network):
    """EDSR-baseline on RGB.

    Example:
        >>> import torch
        >>> net = Edsr(EdsrConfig(scale=2, channels=8, blocks=1))
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    config: EdsrConfig

    def __init__(self, config: EdsrConfig) -> None:
        super().__init__()
        self.config = config
        c, self.factors = config.channels, (2, 2) if config.scale == 4 else (config.scale,)
        self.head = nn.Conv2d(config.colours, c, 3, padding=1)
        self.body = nn.ModuleList(ResidualBlock(c) for _ in range(config.blocks))
        self.after = nn.Conv2d(c, c, 3, padding=1)
        self.enlarge = nn.ModuleList(nn.Conv2d(c, c * factor**2, 3, padding=1) for factor in self.factors)
        self.tail = nn.Conv2d(c, config.colours, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        mean = lr.new_tensor(_DIV2K_MEAN).view(1, 3, 1, 1) if self.config.mean_shift else 0
        first = x = self.head(lr - mean)
        for block in self.body:
            x = block(x)
        x = first + self.after(x)
        for conv, factor in zip(self.enlarge, self.factors, strict=True):
            x = F.pixel_shuffle(conv(x), factor)
        sr: Tensor = self.tail(x) + mean
        return sr
