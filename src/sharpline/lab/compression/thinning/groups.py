"""Groups of channels that go together, in bundles of groups that are alike: what a choice is made among."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sharpline.lab.compression.thinning.atoms import PINNED
from sharpline.lab.compression.thinning.couplings import Coupled

Places = dict[str, list[int]]


@dataclass
class _Group:
    """Where one group of channels is: channel numbers by layer."""

    writes: Places
    follows: Places
    reads: Places

    def signature(self) -> tuple[tuple[str, int], ...]:
        parts = ("writes", "follows", "reads")
        return tuple((f"{part} {layer}", len(at)) for part in parts for layer, at in getattr(self, part).items())


@dataclass(frozen=True)
class Bundle:
    """Groups of channels that pass through the same layers, of which some may go.

    Attributes:
        writes: for each layer that makes these channels, its output channels, int64 [groups, channels of a group];
            a group has several where a pixel shuffle makes one channel of them.
        follows: the same for layers that treat each channel by itself (slopes, norms).
        reads: the same for the input channels of layers that use them.
    """

    writes: dict[str, Tensor]
    follows: dict[str, Tensor]
    reads: dict[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.writes.values())))


def bundles(coupled: Sequence[Coupled]) -> list[Bundle]:
    """The groups that may go, in the order of the network.

    Example:
        >>> from sharpline.lab.compression.thinning.couplings import couplings
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "edsr", "channels": 4, "blocks": 1, "scale": 2})
        >>> [(len(b), list(b.writes), list(b.reads)) for b in bundles(couplings(net))][1:]
        [(4, ['body.0.first'], ['body.0.second']), (4, ['enlarge.0'], ['tail'])]
    """
    groups: dict[int, _Group] = {}
    for layer in coupled:
        for number, atom in enumerate(layer.writes):
            if atom != PINNED:
                group = groups.setdefault(atom, _Group(defaultdict(list), defaultdict(list), defaultdict(list)))
                part = group.follows if layer.channels.elementwise else group.writes
                part[layer.layer].append(number)
    for layer in coupled:
        if not layer.channels.elementwise:
            for number, atom in enumerate(layer.reads):
                if atom in groups:
                    groups[atom].reads[layer.layer].append(number)
    alike: dict[tuple[tuple[str, int], ...], list[_Group]] = defaultdict(list)
    for group in groups.values():
        alike[group.signature()].append(group)
    return [
        Bundle(*(_stacked([getattr(group, part) for group in same]) for part in ("writes", "follows", "reads")))
        for same in alike.values()
    ]


def _stacked(places: list[Places]) -> dict[str, Tensor]:
    return {layer: torch.tensor([place[layer] for place in places]) for layer in places[0]}
