"""LapSRN: a pyramid that doubles the picture at each level and adds the residual seen there.

Lai et al., "Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution", CVPR 2017, figure 1 and section
3. Where text and code differ, this is the code, whose weights are the paper's 812 K: features are doubled by a 3x3
deconvolution, cropped below and on the right; only pictures by a 4x4 one, which begins bilinear.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.initial import he, normal
from sharpline.lab.networks.registry import Network, NetworkConfig, register

_SLOPE = 0.2  # of every leaky ReLU


class LapSrnConfig(NetworkConfig):
    """Hyper-parameters of LapSRN.

    Attributes:
        channels: width.
        depth: number of 3x3 convolutions a level; the paper has 10 for x2 and x4, 5 for x8.
    """

    family: Literal["lapsrn"] = "lapsrn"
    scale: Literal[2, 4, 8] = 4
    colour: Literal["rgb", "y"] = "y"
    channels: int = Field(default=64, ge=1, le=512)
    depth: int = Field(default=10, ge=0, le=64)


class Level(nn.Module):
    """Convolutions, then everything at twice the size: features, picture, residual."""

    def __init__(self, colours: int, channels: int, depth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(he(nn.Conv2d(channels, channels, 3, padding=1)) for _ in range(depth))
        self.enlarge = he(nn.ConvTranspose2d(channels, channels, 3, stride=2))
        self.residual = he(nn.Conv2d(channels, colours, 3, padding=1))
        self.picture = nn.ConvTranspose2d(colours, colours, 4, stride=2, padding=1, groups=colours, bias=False)
        side = torch.tensor([0.25, 0.75, 0.75, 0.25])
        with torch.no_grad():
            self.picture.weight.copy_(torch.outer(side, side))

    def forward(self, features: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        """[N, channels, H, W] and [N, C, H, W] -> the same at 2H x 2W."""
        for conv in self.convs:
            features = F.leaky_relu(conv(features), _SLOPE)
        features = F.leaky_relu(self.enlarge(features)[:, :, :-1, :-1], _SLOPE)
        return features, self.picture(picture) + self.residual(features)


@register("lapsrn", LapSrnConfig)
class LapSrn(Network):
    """LapSRN on Y.

    Example:
        >>> import torch
        >>> net = LapSrn(LapSrnConfig(scale=4, channels=8, depth=1))
        >>> [tuple(sr.shape) for sr in net.levels(torch.rand(1, 1, 5, 7))]
        [(1, 1, 10, 14), (1, 1, 20, 28)]
    """

    config: LapSrnConfig

    def __init__(self, config: LapSrnConfig) -> None:
        super().__init__()
        self.config = config
        # Features begin so small that the network begins as bilinear enlargement.
        self.head = normal(nn.Conv2d(config.colours, config.channels, 3, padding=1), 0.001)
        self.pyramid = nn.ModuleList(
            Level(config.colours, config.channels, config.depth) for _ in range(config.scale.bit_length() - 1)
        )

    def levels(self, lr: Tensor) -> list[Tensor]:
        """The pictures of all levels, for a loss at each.

        Args:
            lr: [N, C, H, W] in [0, 1].

        Returns:
            [N, C, H*2, W*2], [N, C, H*4, W*4], ... up to the network's scale, not clipped.
        """
        features, picture, pictures = F.leaky_relu(self.head(lr), _SLOPE), lr, []
        for level in self.pyramid:
            features, picture = level(features, picture)
            pictures.append(picture)
        return pictures

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        return self.levels(lr)[-1]
