"""A trained network seen as a plain stack: what can become one of integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from sharpline.errors import UsageError
from sharpline.lab.networks import Network
from sharpline.lab.networks.edge import CollapsibleConv, Edge


@dataclass(frozen=True)
class PlainStack:
    """Convolutions with ReLU between them; the picture, enlarged bilinearly, is added to the last one's output.

    Attributes:
        names: of the layers.
        kernels: [out, in, k, k] each, for pixel values in [0, 1].
        biases: [out] each, likewise.
        scale: enlargement.
        colour: of the picture.
    """

    names: list[str]
    kernels: list[Tensor]
    biases: list[Tensor]
    scale: int
    colour: Literal["rgb", "y"]


def is_plain_stack(net: Network) -> bool:
    """Whether a network has an integer form of its own; every other one has an INT8 file."""
    return isinstance(net, Edge)


def plain_stack_of(net: Network) -> PlainStack:
    """The layers of a network, branches folded, detached from it.

    Raises:
        UsageError: a family that is no such stack.
    """
    if not isinstance(net, Edge):
        raise UsageError(
            f"networks of the family {net.config.family} are no plain stacks of ReLU layers and have no integer form; "
            "their exported file can be quantized (INT8 only)"
        )
    folded = net.fold()
    layers = {name: module for name, module in folded.named_modules() if isinstance(module, CollapsibleConv)}
    kernels = [layer.collapsed().detach().clone() for layer in layers.values()]
    biases = [layer.bias.detach().clone() for layer in layers.values()]
    return PlainStack(list(layers), kernels, biases, net.config.scale, net.config.colour)
