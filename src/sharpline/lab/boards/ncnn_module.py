"""Networks in words that ncnn has: levels in, levels out, and one pixel shuffle instead of transpositions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.errors import ModelError
from sharpline.lab.boards.made import SourceModel
from sharpline.lab.boards.ncnn_words import in_ncnn_words
from sharpline.runtime.formats.stack import float_stack, require_relus
from sharpline.runtime.integer import IntegerModel
from sharpline.runtime.plain_stack import Layer

Array = NDArray[np.float32]


def on_levels(model: SourceModel) -> nn.Module:
    """The network as a module: float levels [1, C, H, W] -> float levels [1, C, H * s, W * s], cut to 0..255.

    Raises:
        ModelError: the source has neither the layers of a plain stack nor a network of torch.
    """
    if model.integer is not None:
        require_relus(model.integer, model.source)
        return _twin(model.integer)
    if model.net is None or model.net.config.family == "edge":
        try:
            stack = float_stack(model.graph, model.source)
        except ModelError:
            raise ModelError(
                f"{model.source}: ncnn files are made of plain stacks and of checkpoints; give the network's checkpoint"
            ) from None
        tops = [None] * (len(stack.layers) - 1)
        return _Stack(stack.layers, tops, stack.anchor, stack.scale).eval()
    return _OnLevels(in_ncnn_words(model.net)).eval()


def _twin(model: IntegerModel) -> nn.Module:
    """The float twin of an integer network: the same weights and saturation, rounding nowhere."""
    layers = [
        ((layer.weight * layer.multiplier[:, None, None, None]).astype(np.float32), layer.bias * layer.multiplier)
        for layer in model.layers
    ]
    anchor = np.zeros((len(layers[-1][1]), model.colours, 3, 3), np.float32)
    if model.anchor is not None:
        outputs = np.arange(len(anchor))
        anchor[outputs, outputs % model.colours] = model.anchor * model.layers[-1].multiplier[:, None, None]
    return _Stack(layers, [layer.top for layer in model.layers[:-1]], anchor, model.scale).eval()


class _Stack(nn.Module):
    """A plain stack whose outputs are ordered (colour, row, column), as PyTorch's pixel shuffle wants them."""

    def __init__(self, layers: Sequence[Layer], tops: Sequence[int | None], anchor: Array, scale: int) -> None:
        super().__init__()
        self.tops, self.scale = tops, scale
        order = np.arange(len(anchor)).reshape(scale * scale, -1).T.ravel()
        *hidden, (kernel, bias) = layers
        self.layers = nn.ModuleList(_convolution(*layer) for layer in hidden)
        self.tail = _convolution(kernel[order], bias[order])
        self.anchor = _convolution(anchor[order], np.zeros(len(anchor), np.float32), padding=0)

    def forward(self, lr: Tensor) -> Tensor:
        x = lr
        for layer, top in zip(self.layers, self.tops, strict=True):
            x = F.relu(layer(x)) if top is None else torch.clamp(layer(x), 0, top)
        enlarged = self.anchor(F.pad(lr, (1, 1, 1, 1), mode="replicate"))
        return torch.clamp(F.pixel_shuffle(self.tail(x) + enlarged, self.scale), 0, 255)


class _OnLevels(nn.Module):
    """A network of any family, on levels."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, lr: Tensor) -> Tensor:
        return torch.clamp(self.net(lr / 255) * 255, 0, 255)


def _convolution(kernel: Array, bias: Array, padding: int | None = None) -> nn.Conv2d:
    outputs, inputs, side, _ = kernel.shape
    conv = nn.Conv2d(inputs, outputs, side, padding=side // 2 if padding is None else padding)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor(kernel))
        conv.bias.copy_(torch.tensor(bias))  # type: ignore[union-attr]
    return conv
