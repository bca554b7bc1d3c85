"""Which channels of a network belong together, found by watching it run.

Every value of a small picture carries the number of the channel that it is of. Operations that only move values
(slices, concatenation, shuffles, views) are done to the numbers as they are done to the values, so that their effect
is seen, not derived; operations that combine values of equal places make their channels one; layers read some
channels and write others. Values of the input and of the output have to stay, and so has everything that is
computed from the input alone. An operation that is not known here is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sharpline.errors import UsageError
from sharpline.lab.compression.thinning.atoms import NOTHING, PINNED, Atoms
from sharpline.lab.compression.thinning.operations import CONSTANTS, ELEMENTWISE, MOVES, SPATIAL
from sharpline.lab.networks import Network
from sharpline.lab.networks.widths import Channels, channels_of

_SIDE = 8  # of the picture; not divisible by 3, so that nothing fits by chance


@dataclass(frozen=True)
class Coupled:
    """A layer and the numbers of its channels: equal numbers stay or go together.

    Attributes:
        layer: its name.
        channels: what it is.
        reads: a number for each input channel.
        writes: a number for each output channel.
    """

    layer: str
    channels: Channels
    reads: list[int]
    writes: list[int]


def couplings(net: Network) -> list[Coupled]:
    """Find which channels of a network belong together.

    Args:
        net: a plain network; it is run once on a small picture.

    Returns:
        Every layer with channels in the order in which they run; the number ``PINNED`` has to stay.

    Raises:
        UsageError: an operation that is not known here.

    Example:
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "espcn", "channels": 2, "inner": 3, "scale": 2})
        >>> [(c.layer, c.reads, c.writes) for c in couplings(net)]
        [('layers.0', [1], [2, 3]), ('layers.1', [2, 3], [4, 5, 6]), ('layers.2', [4, 5, 6], [1, 1, 1, 1])]
    """
    watch = _Watch(net.config.family)
    parameter = next(net.parameters())
    lr = torch.zeros(1, net.config.colours, _SIDE, _SIDE, dtype=parameter.dtype, device=parameter.device)
    learning = net.training
    net.eval()
    try:
        with ExitStack() as hooks, torch.no_grad():
            for name, layer in net.named_modules():
                channels = channels_of(layer)
                if channels is not None:
                    hooks.callback(layer.register_forward_pre_hook(watch.entering).remove)
                    hooks.callback(layer.register_forward_hook(watch.leaving(name, channels)).remove)
            watch.note(lr, torch.full(lr.shape, PINNED))
            with watch:
                sr = net(lr)
            watch.atoms.pin(watch.labels(sr))
    finally:
        net.train(learning)
    return watch.found()


class _Watch(TorchFunctionMode):
    """Sees every operation on a tensor and keeps the numbers of its values."""

    def __init__(self, family: str) -> None:
        super().__init__()
        self.atoms = Atoms()
        self._family, self._inside = family, 0
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}  # by id: the tensor, which keeps the id its own, and labels
        self._layers: dict[str, Coupled] = {}

    def note(self, tensor: Tensor, labels: Tensor) -> None:
        self._seen[id(tensor)] = (tensor, labels)

    def labels(self, tensor: Tensor) -> Tensor:
        """A number for each value: of a constant PINNED where it differs from channel to channel, else NOTHING."""
        if id(tensor) in self._seen:
            return self._seen[id(tensor)][1]
        by_channel = tensor.ndim >= 3 and tensor.shape[-3] > 1
        return torch.full(tensor.shape, PINNED if by_channel else NOTHING)

    def found(self) -> list[Coupled]:
        root = self.atoms.root
        return [
            Coupled(c.layer, c.channels, [root(a) for a in c.reads], [root(a) for a in c.writes])
            for c in self._layers.values()
        ]

    def entering(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._inside += 1

    def leaving(self, name: str, channels: Channels) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def leave(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self._inside -= 1
            reads = self.atoms.by_channel(self.labels(inputs[0]))
            if name not in self._layers:
                writes = reads if channels.elementwise else self.atoms.new(channels.outputs)
                self._layers[name] = Coupled(name, channels, reads, writes)
            for one, other in zip(self._layers[name].reads, reads, strict=True):  # of a layer that runs again
                self.atoms.unite(one, other)
            self._note_channels(output, self._layers[name].writes)

        return leave

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs = list(_tensors((args, kwargs)))
        if (
            not self._inside
            and any(id(tensor) in self._seen for tensor in inputs)
            and next(_tensors(result), None) is not None
        ):
            self._follow(func, args, kwargs or {}, inputs, result)
        return result

    def _follow(self, func: Any, args: Any, kwargs: dict[str, Any], inputs: list[Tensor], result: Any) -> None:
        name, outputs = func.__name__.strip("_"), list(_tensors(result))
        labels = [self.labels(tensor) for tensor in inputs]
        if name in CONSTANTS:
            return
        if all(bool((picture <= PINNED).all()) for picture in labels):  # of the input alone: nothing to find out
            for output in outputs:
                self.note(output, torch.full(output.shape, PINNED))
        elif name in MOVES:
            moved = func(*self._numbered(args), **{key: self._numbered(value) for key, value in kwargs.items()})
            for output, picture in zip(outputs, _tensors(moved), strict=True):
                self.note(output, picture)
        elif name in ELEMENTWISE:
            self._combine(labels, outputs[0])
        elif name in SPATIAL:
            self._spread(labels[0], inputs[0], outputs)
        elif name in ("conv2d", "conv_transpose2d"):  # with a kernel that belongs to no layer
            self.atoms.pin(labels[0])
            self.note(outputs[0], torch.full(outputs[0].shape, PINNED))
        else:
            raise UsageError(f"thinning does not know the operation {name!r}, which the family {self._family} uses")

    def _combine(self, labels: list[Tensor], output: Tensor) -> None:
        """Values of equal places: their channels become one. One value for all channels binds none of them."""
        whole = torch.full(output.shape, NOTHING)
        for picture in labels:
            alone = output.ndim == 4 and picture.ndim == 4 and picture.shape[1] == 1 < output.shape[1]
            if not alone:
                whole = self.atoms.unite_places(whole, picture.expand(output.shape))
        self.note(output, whole)

    def _spread(self, labels: Tensor, picture: Tensor, outputs: list[Tensor]) -> None:
        """Each channel by itself, at whatever size; what mixes channels needs all of them."""
        for output in outputs:
            if output.ndim == 4 and output.shape[:2] == picture.shape[:2] and picture.shape[1] > 1:
                self._note_channels(output, self.atoms.by_channel(labels))
            else:
                self.atoms.pin(labels)
                self.note(output, torch.full(output.shape, PINNED))

    def _note_channels(self, output: Tensor, numbers: list[int]) -> None:
        self.note(output, torch.tensor(numbers).view(1, -1, 1, 1).expand(output.shape))

    def _numbered(self, value: Any) -> Any:
        """The arguments of an operation with numbers in place of values."""
        if isinstance(value, Tensor):
            return self.labels(value)
        if isinstance(value, (list, tuple)):
            return type(value)(self._numbered(part) for part in value)
        return value


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)
