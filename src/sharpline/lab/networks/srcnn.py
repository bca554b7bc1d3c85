"""SRCNN: three convolutions on the bicubic picture, the first network of the field.

Dong et al., "Image Super-Resolution Using Deep Convolutional Networks", TPAMI 2016, section 3.1 and table 1. As in
the authors' demonstration, borders are repeated, not filled with black.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.anchors import bicubic
from sharpline.lab.networks.initial import GREY, he, of_details, pass_through
from sharpline.lab.networks.registry import Network, NetworkConfig, register


class SrcnnConfig(NetworkConfig):
    """Hyper-parameters of SRCNN.

    Attributes:
        form: sizes of the three kernels. ``9-5-5`` is what the field's tables show, ``9-1-5`` the first one.
        channels: features of the first layer.
        inner: features of the second layer.
    """

    family: Literal["srcnn"] = "srcnn"
    scale: Literal[2, 3, 4] = 4
    colour: Literal["rgb", "y"] = "y"
    form: Literal["9-1-5", "9-5-5"] = "9-5-5"
    channels: int = Field(default=64, ge=1, le=512)
    inner: int = Field(default=32, ge=1, le=512)

    @property
    def kernels(self) -> list[int]:
        """Sizes of the three kernels."""
        return [int(size) for size in self.form.split("-")]


@register("srcnn", SrcnnConfig)
class Srcnn(Network):
    """SRCNN on Y.

    Example:
        >>> import torch
        >>> net = Srcnn(SrcnnConfig(scale=2))
        >>> net(torch.rand(1, 1, 5, 7)).shape
        torch.Size([1, 1, 10, 14])
    """

    config: SrcnnConfig

    def __init__(self, config: SrcnnConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.colours, config.channels, config.inner, config.colours)
        layers = [
            he(nn.Conv2d(i, o, k, padding=k // 2, padding_mode="replicate"))
            for (i, o), k in zip(pairwise(widths), config.kernels, strict=True)
        ]
        if config.colours <= min(config.channels, config.inner):
            _start_as_bicubic(layers, config.colours)
        self.layers = nn.ModuleList(layers)

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        x = bicubic(lr, self.config.scale) - GREY
        x = F.relu(self.layers[0](x))
        x = F.relu(self.layers[1](x))
        sr: Tensor = self.layers[2](x)
        return sr + GREY


@torch.no_grad()
def _start_as_bicubic(layers: list[nn.Conv2d], colours: int) -> None:
    """The picture goes through the first channels; the others begin with details, and say nothing yet."""
    first, second, last = layers
    pass_through(of_details(first), colours)
    pass_through(second, colours)
    pass_through(last, colours)
    second.weight[colours:, :colours] = 0
    for layer, grey in ((first, GREY), (last, -GREY)):  # the picture itself is positive: ReLU lets it through
        if layer.bias is not None:
            layer.bias[:colours] = grey
