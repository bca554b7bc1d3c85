"""A trained network seen as a plain stack: what can become one of integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.errors import UsageError
from sharpline.lab.networks import Network
from sharpline.lab.networks.compact import Compact
from sharpline.lab.networks.edge import CollapsibleConv, Edge
from sharpline.lab.networks.espcn import Espcn
from sharpline.lab.networks.fsrcnn import Fsrcnn
from sharpline.lab.networks.initial import GREY
from sharpline.lab.networks.integer_layers import Activation, convolved
from sharpline.runtime.integer import Border

Anchor = Literal["bilinear", "nearest"]
_WHITE = 255


@dataclass(frozen=True)
class StackLayer:
    """One convolution and what comes after it.

    Attributes:
        name: in the network.
        kernel: [out, in, k, k], for pixel values in [0, 1].
        bias: [out], likewise.
        activation: what comes after it; of no meaning in the last layer.
        slope: [out] of a PReLU.
        border: of the input.
    """

    name: str
    kernel: Tensor
    bias: Tensor
    activation: Activation = "relu"
    slope: Tensor | None = None
    border: Border = "zeros"

    def convolve(self, x: Tensor) -> Tensor:
        """Levels of the picture [N, in, H, W] -> sums [N, out, H, W], before the activation."""
        return convolved(x, self.kernel, self.bias * _WHITE, self.border)

    def activate(self, x: Tensor) -> Tensor:
        """Levels of the picture [N, out, H, W], before the activation -> after it."""
        if self.activation == "tanh":
            return torch.tanh(x / _WHITE) * _WHITE
        return F.relu(x) if self.slope is None else F.prelu(x, self.slope)


@dataclass(frozen=True)
class PlainStack:
    """Convolutions, one after the other, and a pixel shuffle.

    Attributes:
        layers: in order; the outputs of the last one are (row in block, column in block, colour).
        scale: enlargement.
        colour: of the picture.
        anchor: how the picture is enlarged that is added to the last one's output; None where none is.
    """

    layers: list[StackLayer]
    scale: int
    colour: Literal["rgb", "y"]
    anchor: Anchor | None

    @property
    def names(self) -> list[str]:
        """Of the layers."""
        return [layer.name for layer in self.layers]


def is_plain_stack(net: Network) -> bool:
    """Whether a network has an integer form of its own; every other one has an INT8 file."""
    return isinstance(net, (Edge, Compact, Fsrcnn, Espcn))


@torch.no_grad()
def plain_stack_of(net: Network) -> PlainStack:
    """The layers of a network, branches folded, detached from it.

    Raises:
        UsageError: a family that is no such stack.

    Example:
        >>> from sharpline.lab.networks import build
        >>> [tuple(layer.kernel.shape) for layer in plain_stack_of(build({"family": "espcn"})).layers]
        [(64, 1, 5, 5), (32, 64, 3, 3), (16, 32, 3, 3)]
    """
    ends = net.config.scale, net.config.colour
    if isinstance(net, Edge):
        return PlainStack(_edge(net), *ends, "bilinear")
    if isinstance(net, Compact):
        return PlainStack(_compact(net), *ends, "nearest")
    if isinstance(net, Fsrcnn):
        return PlainStack(_around_grey(_fsrcnn(net)), *ends, None)
    if isinstance(net, Espcn):
        return PlainStack(_around_grey(_espcn(net)), *ends, None)
    raise UsageError(
        f"networks of the family {net.config.family} are no plain stacks and have no integer form; "
        "their exported file can be quantized (INT8 only)"
    )


def _edge(net: Edge) -> list[StackLayer]:
    layers = {name: m for name, m in net.fold().named_modules() if isinstance(m, CollapsibleConv)}
    return [StackLayer(name, m.collapsed().clone(), m.bias.clone()) for name, m in layers.items()]


def _compact(net: Compact) -> list[StackLayer]:
    hidden = _with_slopes(net.convs, net.slopes)
    kernel, bias = (_blocks_first(part, net.config.colours) for part in _parts(net.tail))
    return [*hidden, StackLayer("tail", kernel, bias)]


def _espcn(net: Espcn) -> list[StackLayer]:
    *hidden, last = (m for m in net.layers if isinstance(m, nn.Conv2d))
    kernel, bias = (_blocks_first(part, net.config.colours) for part in _parts(last))
    return [
        *(StackLayer(f"layers.{n}", *_parts(m), "tanh", None, _border(m)) for n, m in enumerate(hidden)),
        StackLayer(f"layers.{len(hidden)}", kernel, bias, border=_border(last)),
    ]


def _fsrcnn(net: Fsrcnn) -> list[StackLayer]:
    assert net.tail.bias is not None
    bias = net.tail.bias.repeat(net.config.scale**2)
    tail = StackLayer("tail", as_convolution(net.tail.weight, net.config.scale), bias, border="edge")
    return [*_with_slopes(net.convs, net.slopes), tail]


def _with_slopes(convs: nn.ModuleList, slopes: nn.ModuleList) -> list[StackLayer]:
    layers = []
    for number, (conv, prelu) in enumerate(zip(convs, slopes, strict=True)):
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(prelu, nn.PReLU)
        slope = prelu.weight.clone().expand(conv.out_channels)
        layers.append(StackLayer(f"convs.{number}", *_parts(conv), "prelu", slope, _border(conv)))
    return layers


def _parts(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    assert conv.bias is not None
    return conv.weight.clone(), conv.bias.clone()


def _border(conv: nn.Conv2d) -> Border:
    return "edge" if conv.padding_mode == "replicate" and conv.kernel_size[0] > 1 else "zeros"


def _blocks_first(part: Tensor, colours: int) -> Tensor:
    """Outputs in torch's order, colour first, in ours."""
    return part.reshape(colours, -1, *part.shape[1:]).transpose(0, 1).flatten(0, 1)


def _around_grey(layers: list[StackLayer]) -> list[StackLayer]:
    """The same for a network that works on the picture's difference from grey: its biases do that here."""
    first, last = layers[0], layers[-1]
    inner = [StackLayer(**{**vars(first), "bias": first.bias - GREY * first.kernel.sum((1, 2, 3))}), *layers[1:-1]]
    return [*inner, StackLayer(**{**vars(last), "bias": last.bias + GREY})]


def as_convolution(kernel: Tensor, scale: int) -> Tensor:
    """A deconvolution as a convolution with an output for each pixel of a block: exact, a shuffle being left to do.

    The output pixel in row i of its block sees the input ``d`` rows away through row ``i + middle - scale * d`` of the
    kernel (Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016).

    Args:
        kernel: [in, colours, k, k] of a deconvolution with stride ``scale`` that is centred, k odd.
        scale: stride.

    Returns:
        [scale * scale * colours, in, r, r], outputs ordered (row in block, column in block, colour).

    Example:
        >>> as_convolution(torch.ones(56, 1, 9, 9), 4).shape
        torch.Size([16, 56, 3, 3])
    """
    inputs, colours, side, _ = kernel.shape
    middle = side // 2
    reach = (middle + scale - 1) // scale
    found = torch.zeros(scale, scale, colours, inputs, 2 * reach + 1, 2 * reach + 1)
    for row in range(scale):
        for column in range(scale):
            for down in range(-reach, reach + 1):
                for right in range(-reach, reach + 1):
                    y, x = row + middle - scale * down, column + middle - scale * right
                    if 0 <= y < side and 0 <= x < side:
                        found[row, column, :, :, down + reach, right + reach] = kernel[:, :, y, x].T
    return found.flatten(0, 2)
