"""Channels of layers: which dimensions of which tensors count them, and a layer cut down to some of them.

One place knows this for all who need it: a thinned network that is rebuilt from its configuration, channels that
are masked or removed, moments of an optimiser that follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import singledispatch
from typing import Literal

import torch
from torch import Tensor, nn

from sharpline.errors import UsageError

Role = Literal["in", "out"]


@dataclass(frozen=True)
class Channels:
    """What a layer does with channels.

    Attributes:
        inputs: number of channels that come in.
        outputs: number that go out.
        axes: for each tensor of the layer, what its leading dimensions count; a dimension may count each channel
            several times in a row (a kernel stored as a matrix).
        counts: the layer's attributes that hold a number of channels.
        elementwise: each output channel sees the input channel of its number and no other.
    """

    inputs: int
    outputs: int
    axes: dict[str, tuple[Role, ...]]
    counts: dict[str, Role]
    elementwise: bool = False

    def select(self, name: str, tensor: Tensor, inputs: Iterable[int], outputs: Iterable[int]) -> Tensor:
        """The part of the layer's tensor ``name`` (or of one of its shape) that belongs to some channels."""
        for dim, role in enumerate(self.axes.get(name, ())):
            index = self.places(tensor, dim, role, inputs if role == "in" else outputs)
            tensor = tensor.index_select(dim, index)
        return tensor

    def places(self, tensor: Tensor, dim: int, role: Role, channels: Iterable[int]) -> Tensor:
        """Where channels are in a dimension of a tensor, int64."""
        run = tensor.shape[dim] // (self.inputs if role == "in" else self.outputs)
        wanted = [channel * run + place for channel in channels for place in range(run)]
        return torch.tensor(wanted, dtype=torch.long, device=tensor.device)


@singledispatch
def channels_of(layer: nn.Module) -> Channels | None:
    """What a layer does with channels; None if it has no number of them, or none that may change.

    A family with a layer of its own registers it here.

    Raises:
        UsageError: the layer has to be brought into another form first.

    Example:
        >>> channels_of(nn.ConvTranspose2d(8, 1, 9)).axes["weight"]
        ('in', 'out')
    """
    return None


@channels_of.register
def _convolution(layer: nn.Conv2d) -> Channels | None:
    return _of_kernel(layer, ("out", "in"))


@channels_of.register
def _deconvolution(layer: nn.ConvTranspose2d) -> Channels | None:
    return _of_kernel(layer, ("in", "out"))


def _of_kernel(layer: nn.Conv2d | nn.ConvTranspose2d, order: tuple[Role, Role]) -> Channels | None:
    inputs, outputs = layer.in_channels, layer.out_channels
    if layer.groups == 1:
        axes: dict[str, tuple[Role, ...]] = {"weight": order, "bias": ("out",)}
        return Channels(inputs, outputs, axes, {"in_channels": "in", "out_channels": "out"})
    if layer.groups == inputs == outputs:
        return _alone(outputs, ("weight", "bias"), ("in_channels", "out_channels", "groups"))
    return None


@channels_of.register
def _slopes(layer: nn.PReLU) -> Channels | None:
    return _alone(layer.num_parameters, ("weight",), ("num_parameters",)) if layer.num_parameters > 1 else None


@channels_of.register
def _norm(layer: nn.BatchNorm2d) -> Channels:
    return _alone(layer.num_features, ("weight", "bias", "running_mean", "running_var"), ("num_features",))


def _alone(channels: int, tensors: Sequence[str], counts: Sequence[str]) -> Channels:
    axes: dict[str, tuple[Role, ...]] = dict.fromkeys(tensors, ("out",))
    return Channels(channels, channels, axes, dict.fromkeys(counts, "out"), elementwise=True)


@torch.no_grad()
def narrow(layer: nn.Module, inputs: int, outputs: int) -> None:
    """Keep only the first channels of a layer, in place.

    Args:
        layer: one that :func:`channels_of` knows.
        inputs: how many input channels stay.
        outputs: how many output channels stay; of an elementwise layer as many.

    Example:
        >>> conv = nn.Conv2d(3, 8, 3)
        >>> narrow(conv, 3, 2)
        >>> conv
        Conv2d(3, 2, kernel_size=(3, 3), stride=(1, 1))
    """
    channels = channels_of(layer)
    assert channels is not None, layer
    for name in channels.axes:
        tensor = getattr(layer, name)
        if tensor is None:
            continue
        part = channels.select(name, tensor.detach(), range(inputs), range(outputs))
        setattr(layer, name, nn.Parameter(part) if isinstance(tensor, nn.Parameter) else part)
    for attribute, role in channels.counts.items():
        setattr(layer, attribute, inputs if role == "in" else outputs)


def fit(net: nn.Module, widths: Mapping[str, Sequence[int]]) -> None:
    """Give layers other widths than their family's configuration does: those of a thinned network.

    Args:
        net: the network, changed in place.
        widths: for each layer that differs, its numbers of input and output channels.

    Raises:
        UsageError: no such layer, or more channels than the family's configuration gives it.
    """
    layers = dict(net.named_modules())
    for name, (inputs, outputs) in widths.items():
        channels = channels_of(layers[name]) if name in layers else None
        if channels is None:
            near = get_close_matches(name, layers, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "the network has none of this name"
            raise UsageError(f"network.widths: no layer {name!r} with channels: {hint}")
        if not (0 < inputs <= channels.inputs and 0 < outputs <= channels.outputs):
            raise UsageError(
                f"network.widths: {name} has {channels.inputs} -> {channels.outputs} channels, "
                f"which cannot become {inputs} -> {outputs}"
            )
        narrow(layers[name], inputs, outputs)
