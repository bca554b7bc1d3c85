"""RLFN: residual local feature network.

Kong et al., "Residual Local Feature Network for Efficient Super-Resolution", CVPRW 2022, figures 2 and 3.
The defaults are the paper's network (52 channels, 6 blocks); the winner of the NTIRE 2022 runtime track has
46 channels, 48 inside a block, and 4 blocks.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.registry import Network, NetworkConfig, register

_SLOPE = 0.05  # of every leaky ReLU
_ATTENDED = 15  # smallest side that the strided attention branch can see: (15 - 3) // 2 + 1 is its window of 7


class RlfnConfig(NetworkConfig):
    """Hyper-parameters of RLFN.

    Attributes:
        channels: width between the blocks.
        inner: width inside a block.
        blocks: number of blocks.
        attention: channels of the spatial attention.
        white: what white is inside the network: 1, or 255 as in the authors' weights.
    """

    family: Literal["rlfn"] = "rlfn"
    channels: int = Field(default=52, ge=1, le=512)
    inner: int = Field(default=52, ge=1, le=512)
    blocks: int = Field(default=6, ge=1, le=64)
    attention: int = Field(default=16, ge=1, le=512)
    white: Literal[1, 255] = 1


class SpatialAttention(nn.Module):
    """Weighs each pixel by what is seen around it at a sixth of the size (ESA, section 3.2)."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, inner, 1)
        self.shortcut = nn.Conv2d(inner, inner, 1)
        self.shrink = nn.Conv2d(inner, inner, 3, stride=2)
        self.look = nn.Conv2d(inner, inner, 3, padding=1)
        self.excite = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        squeezed = self.squeeze(x)
        around = self.look(F.max_pool2d(self.shrink(_large_enough(squeezed)), kernel_size=7, stride=3))
        around = F.interpolate(around, x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.excite(around + self.shortcut(squeezed)))


def _large_enough(x: Tensor) -> Tensor:
    """Repeat the last row and column of pictures for which the paper has no answer."""
    height, width = x.shape[2:]
    right, below = (torch.sym_max(_ATTENDED - n, 0) for n in (width, height))  # type: ignore[no-untyped-call]  # traced for any size
    return F.pad(x, (0, right, 0, below), mode="replicate")


class LocalFeatureBlock(nn.Module):
    """Three convolutions with a shortcut, then attention."""

    def __init__(self, channels: int, inner: int, attention: int) -> None:
        super().__init__()
        widths = ((channels, inner), (inner, inner), (inner, channels))
        self.refine = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in widths)
        self.fuse = nn.Conv2d(channels, channels, 1)
        self.attention = SpatialAttention(channels, attention)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        features = x
        for conv in self.refine:
            features = F.leaky_relu(conv(features), _SLOPE)
        weighed: Tensor = self.attention(self.fuse(features + x))
        return weighed


@register("rlfn", RlfnConfig)
class Rlfn(Network):
    """RLFN on RGB.

    Example:
        >>> import torch
        >>> net = Rlfn(RlfnConfig(scale=2, channels=8, inner=8, blocks=1, attention=4))
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    config: RlfnConfig

    def __init__(self, config: RlfnConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.head = nn.Conv2d(config.colours, c, 3, padding=1)
        self.body = nn.ModuleList(LocalFeatureBlock(c, config.inner, config.attention) for _ in range(config.blocks))
        self.after = nn.Conv2d(c, c, 3, padding=1)
        self.tail = nn.Conv2d(c, config.colours * config.scale**2, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        first = x = self.head(lr * self.config.white)
        for block in self.body:
            x = block(x)
        return F.pixel_shuffle(self.tail(first + self.after(x)), self.config.scale) / self.config.white
