"""Three families in words that pnnx keeps: what it drops or leaves behind, said otherwise, to the same values."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks import Network
from sharpline.lab.networks.lapsrn import Level
from sharpline.lab.networks.rlfn import SpatialAttention
from sharpline.lab.networks.rrdb import Rrdb

_SLOPE = 0.2  # of LapSRN's leaky ReLUs


def in_ncnn_words(net: Network) -> nn.Module:
    """The same function, for pictures whose sides are multiples of the network's ``tile_multiple``.

    An RLFN's pictures have to have 15 pixels a side, too: smaller ones it pads by as much as they lack, and pnnx
    leaves a padding behind whose widths are computed.

    Args:
        net: a folded network of any family; not changed.

    Example:
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "lapsrn", "channels": 4, "depth": 1}).eval()
        >>> lr = torch.rand(1, 1, 5, 7)
        >>> bool(torch.allclose(in_ncnn_words(net)(lr), net(lr), atol=1e-6))
        True
    """
    net = copy.deepcopy(net)
    for parent in list(net.modules()):
        for name, module in parent.named_children():
            if isinstance(module, SpatialAttention):
                setattr(parent, name, _Attention(module))
            elif isinstance(module, Level):
                setattr(parent, name, _Level(module))
    return _Unfolded(net) if isinstance(net, Rrdb) and net.config.unshuffle > 1 else net


class _Attention(nn.Module):
    """RLFN's attention without the padding of small pictures."""

    def __init__(self, attention: SpatialAttention) -> None:
        super().__init__()
        self.parts = attention

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.parts.squeeze(x)
        around = self.parts.look(F.max_pool2d(self.parts.shrink(squeezed), kernel_size=7, stride=3))
        around = F.interpolate(around, x.shape[2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.parts.excite(around + self.parts.shortcut(squeezed)))


class _Level(nn.Module):
    """LapSRN's level whose enlargement makes 2H x 2W by itself: pnnx takes the end -1 of a slice for no end at all."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        self.convs, self.residual, self.picture, old = level.convs, level.residual, level.picture, level.enlarge
        self.enlarge = nn.ConvTranspose2d(old.in_channels, old.out_channels, 4, stride=2, padding=1)
        with torch.no_grad():  # a row and a column of zeros in front: what was cut off behind falls to the padding
            self.enlarge.weight.copy_(F.pad(old.weight, (1, 0, 1, 0)))
            self.enlarge.bias = old.bias

    def forward(self, features: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        for conv in self.convs:
            features = F.leaky_relu(conv(features), _SLOPE)
        features = F.leaky_relu(self.enlarge(features), _SLOPE)
        return features, self.picture(picture) + self.residual(features)


class _Unfolded(nn.Module):
    """RRDB below its own scale, for whole blocks of pixels: no row or column is repeated and cut off again."""

    def __init__(self, net: Rrdb) -> None:
        super().__init__()
        self.fold = net.config.unshuffle
        self.net = net
        net.config = net.config.model_copy(update={"scale": 2**net.config.stages})  # what it makes of folded pixels

    def forward(self, lr: Tensor) -> Tensor:
        sr: Tensor = self.net(F.pixel_unshuffle(lr, self.fold))
        return sr
