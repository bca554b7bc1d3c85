"""VDSR: twenty convolutions that learn what the bicubic picture lacks.

Kim et al., "Accurate Image Super-Resolution Using Very Deep Convolutional Networks", CVPR 2016, section 3. One set
of weights serves x2, x3 and x4: the scale is only the factor of the bicubic enlargement.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.anchors import bicubic
from sharpline.lab.networks.initial import he
from sharpline.lab.networks.registry import Network, NetworkConfig, register


class VdsrConfig(NetworkConfig):
    """Hyper-parameters of VDSR.

    Attributes:
        channels: width.
        depth: number of convolutions.
    """

    family: Literal["vdsr"] = "vdsr"
    scale: Literal[2, 3, 4] = 4
    colour: Literal["rgb", "y"] = "y"
    channels: int = Field(default=64, ge=1, le=512)
    depth: int = Field(default=20, ge=2, le=64)


@register("vdsr", VdsrConfig)
class Vdsr(Network):
    """VDSR on Y.

    Example:
        >>> import torch
        >>> net = Vdsr(VdsrConfig(scale=3, channels=8, depth=3))
        >>> net(torch.rand(1, 1, 5, 7)).shape
        torch.Size([1, 1, 15, 21])
    """

    config: VdsrConfig

    def __init__(self, config: VdsrConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.colours, *[config.channels] * (config.depth - 1), config.colours)
        self.layers = nn.ModuleList(he(nn.Conv2d(i, o, 3, padding=1)) for i, o in pairwise(widths))

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        anchor = x = bicubic(lr, self.config.scale)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        residual: Tensor = self.layers[-1](x)
        return anchor + residual
