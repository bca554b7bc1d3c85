"""ESPCN: three convolutions at the input's size and the first pixel shuffle.

Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
Network", CVPR 2016, section 3: (5, 64) - (3, 32) - (3, r^2), tanh between them. Borders are repeated: without a
picture that is added at the end, zeros around small training patches are most of what it would learn about.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.initial import GREY, bilinear_kernels, he, of_details, pass_through
from sharpline.lab.networks.registry import Network, NetworkConfig, register

_STRAIGHT = 0.3  # of full scale: tanh bends this little


class EspcnConfig(NetworkConfig):
    """Hyper-parameters of ESPCN.

    Attributes:
        channels: features of the first layer.
        inner: features of the second layer.
    """

    family: Literal["espcn"] = "espcn"
    scale: Literal[2, 3, 4] = 4
    colour: Literal["rgb", "y"] = "y"
    channels: int = Field(default=64, ge=1, le=512)
    inner: int = Field(default=32, ge=1, le=512)


@register("espcn", EspcnConfig)
class Espcn(Network):
    """ESPCN on Y.

    Example:
        >>> import torch
        >>> net = Espcn(EspcnConfig(scale=3))
        >>> net(torch.rand(1, 1, 5, 7)).shape
        torch.Size([1, 1, 15, 21])
    """

    config: EspcnConfig

    def __init__(self, config: EspcnConfig) -> None:
        super().__init__()
        self.config = config
        widths = (config.colours, config.channels, config.inner, config.colours * config.scale**2)
        layers = [
            he(nn.Conv2d(i, o, k, padding=k // 2, padding_mode="replicate"), gain)
            for (i, o), k, gain in zip(pairwise(widths), (5, 3, 3), (5 / 3, 5 / 3, 1), strict=True)
        ]
        if config.colours <= min(config.channels, config.inner):
            _start_as_bilinear(layers, config)
        self.layers = nn.ModuleList(layers)

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        x = torch.tanh(self.layers[0](lr - GREY))
        x = torch.tanh(self.layers[1](x))
        return F.pixel_shuffle(self.layers[2](x), self.config.scale) + GREY


@torch.no_grad()
def _start_as_bilinear(layers: list[nn.Conv2d], config: EspcnConfig) -> None:
    """The picture goes through the first channels, where tanh is nearly straight; the others begin with details."""
    (first, second, last), count, block = layers, config.colours, config.scale**2
    pass_through(of_details(first), count, _STRAIGHT)
    pass_through(second, count)
    last.weight *= 0.1
    last.weight[:, :count] = 0
    for colour in range(count):
        last.weight[colour * block : (colour + 1) * block, colour] = bilinear_kernels(config.scale) / _STRAIGHT
