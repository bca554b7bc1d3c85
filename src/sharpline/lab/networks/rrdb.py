"""RRDB: the generator of ESRGAN, residual-in-residual dense blocks.

Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", ECCVW 2018, figure 4.
Where ``scale`` is smaller than the enlargement of the stages, the picture is first folded into channels
(Wang et al., "Real-ESRGAN", ICCVW 2021, section 4.1), so that x2 and x1 run at half and quarter size.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.registry import Network, NetworkConfig, register

_SLOPE = 0.2  # of every leaky ReLU
_RESIDUAL = 0.2  # factor of every residual branch


class RrdbConfig(NetworkConfig):
    """Hyper-parameters of RRDB; the defaults are the paper's.

    Attributes:
        channels: width of the trunk.
        growth: channels that each convolution of a dense block adds.
        blocks: number of residual-in-residual blocks.
        stages: number of nearest x2 enlargements; two, also for scales 1 and 2, as in Real-ESRGAN. Three make x8.
    """

    family: Literal["rrdb"] = "rrdb"
    channels: int = Field(default=64, ge=1, le=256)
    growth: int = Field(default=32, ge=1, le=128)
    blocks: int = Field(default=23, ge=1, le=64)
    stages: int = Field(default=2, ge=0, le=3, validate_default=True)

    @field_validator("stages")
    @classmethod
    def _make_the_scale(cls, stages: int, others: ValidationInfo) -> int:
        scale = others.data.get("scale", 1)
        if 2**stages % scale:
            raise ValueError(f"{stages} doublings cannot make scale {scale}")
        return stages

    @property
    def unshuffle(self) -> int:
        """Side of the blocks of pixels that are folded into channels at the entrance."""
        return int(2**self.stages) // self.scale


def _small_conv(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that starts small, which makes the depth trainable (ESRGAN, section 3.1)."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.kaiming_normal_(conv.weight)
    with torch.no_grad():
        conv.weight.mul_(0.1)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the outputs of all before it; added to the input at 0.2."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        outputs = (growth, growth, growth, growth, channels)
        self.convs = nn.ModuleList(_small_conv(channels + i * growth, out) for i, out in enumerate(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        seen = [x]
        for conv in self.convs[:-1]:
            seen.append(F.leaky_relu(conv(torch.cat(seen, 1)), _SLOPE))
        residual: Tensor = self.convs[-1](torch.cat(seen, 1))
        return x + _RESIDUAL * residual


class ResidualBlock(nn.Module):
    """Three dense blocks; what they add is added to the input at 0.2."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.dense = nn.ModuleList(DenseBlock(channels, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        features = x
        for block in self.dense:
            features = block(features)
        return x + _RESIDUAL * features


@register("rrdb", RrdbConfig)
class Rrdb(Network):
    """RRDB on RGB.

    Example:
        >>> import torch
        >>> net = Rrdb(RrdbConfig(scale=2, channels=8, growth=4, blocks=1))
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    config: RrdbConfig

    def __init__(self, config: RrdbConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.head = nn.Conv2d(config.colours * config.unshuffle**2, c, 3, padding=1)
        self.body = nn.ModuleList(ResidualBlock(c, config.growth) for _ in range(config.blocks))
        self.after = nn.Conv2d(c, c, 3, padding=1)
        self.enlarge = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for _ in range(config.stages))
        self.refine = nn.Conv2d(c, c, 3, padding=1)
        self.tail = nn.Conv2d(c, config.colours, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        (height, width), s, fold = lr.shape[2:], self.config.scale, self.config.unshuffle
        if fold > 1:  # whole blocks: the last row and column are repeated, and cut off at the end
            lr = F.pixel_unshuffle(F.pad(lr, (0, -width % fold, 0, -height % fold), mode="replicate"), fold)
        first = x = self.head(lr)
        for block in self.body:
            x = block(x)
        x = first + self.after(x)
        for conv in self.enlarge:
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2.0, mode="nearest")), _SLOPE)
        sr: Tensor = self.tail(F.leaky_relu(self.refine(x), _SLOPE))
        return sr[:, :, : height * s, : width * s] if fold > 1 else sr

    @property
    def tile_multiple(self) -> int:
        """The blocks of pixels that are folded into channels may not be cut."""
        return self.config.unshuffle
