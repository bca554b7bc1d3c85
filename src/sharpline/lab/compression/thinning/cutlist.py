"""What is cut: which channels of which layers stay, as data that can be printed before anything is done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from sharpline.lab.compression.thinning.groups import Bundle
from sharpline.lab.networks import Network
from sharpline.lab.networks.widths import channels_of

_NAMED = 3  # layers that a row names before it counts


@dataclass(frozen=True)
class LayerCut:
    """One layer that loses channels.

    Attributes:
        before: its input and output channels.
        inputs: the input channels that stay, rising.
        outputs: the output channels that stay, rising.
        coupled: other layers that lose the same output channels, or for a layer that loses only inputs, those
            that make them.
    """

    before: tuple[int, int]
    inputs: list[int]
    outputs: list[int]
    coupled: list[str]

    @property
    def after(self) -> tuple[int, int]:
        """Input and output channels that are left."""
        return len(self.inputs), len(self.outputs)


@dataclass(frozen=True)
class CutList:
    """The cuts by layer. Printed, it is a table; empty, it is false."""

    layers: dict[str, LayerCut]

    def __bool__(self) -> bool:
        return bool(self.layers)

    @property
    def widths(self) -> dict[str, list[int]]:
        """For :attr:`NetworkConfig.widths <sharpline.lab.networks.NetworkConfig>`."""
        return {name: list(cut.after) for name, cut in self.layers.items()}

    def zero(self, net: Network) -> dict[str, Tensor]:
        """True for each weight that goes with the channels, by the names of parameters of the uncut network."""
        masks = {}
        for layer, cut in self.layers.items():
            module = net.get_submodule(layer)
            channels = channels_of(module)
            assert channels is not None
            for name, parameter in module.named_parameters(recurse=False):
                mask = torch.ones_like(parameter, dtype=torch.bool)
                for dim, role in enumerate(channels.axes[name]):
                    kept = torch.zeros(parameter.shape[dim], dtype=torch.bool, device=parameter.device)
                    kept[channels.places(parameter, dim, role, cut.inputs if role == "in" else cut.outputs)] = True
                    mask &= kept.view(-1, *[1] * (parameter.ndim - dim - 1))
                masks[f"{layer}.{name}"] = ~mask
        return masks

    def __str__(self) -> str:
        if not self.layers:
            return "nothing to cut"
        rows = [("layer", "inputs", "outputs", "coupled with")]
        for name, cut in self.layers.items():
            sides = [
                f"{old} -> {new}" if old != new else f"{old}" for old, new in zip(cut.before, cut.after, strict=True)
            ]
            named = ", ".join(cut.coupled[:_NAMED])
            more = len(cut.coupled) - _NAMED
            rows.append((name, sides[0], sides[1], named + (f" and {more} more" if more > 0 else "")))
        sizes = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join("  ".join((*map(str.ljust, row[:3], sizes), row[3])).rstrip() for row in rows)


def cutlist(net: Network, removed: Iterable[tuple[Bundle, Tensor]]) -> CutList:
    """Turn groups that go into cuts of layers.

    Args:
        net: the network.
        removed: bundles, and for each the numbers of the groups of it that go, int64.
    """
    lost: dict[str, dict[str, set[int]]] = {}
    coupled: dict[str, dict[str, None]] = {}  # a dictionary for a set that keeps its order
    for bundle, groups in removed:
        if len(groups) == 0:
            continue
        for role, layers in (("out", bundle.writes), ("out", bundle.follows), ("in", bundle.reads)):
            for layer, places in layers.items():
                sides = lost.setdefault(layer, {"in": set(), "out": set()})
                sides[role].update(places[groups].flatten().tolist())
                if role == "out":
                    coupled.setdefault(layer, {}).update(dict.fromkeys((*bundle.writes, *bundle.follows)))
                    coupled[layer].pop(layer)
    for bundle, groups in removed:
        for layer in bundle.reads if len(groups) else ():
            if layer not in coupled or not lost[layer]["out"]:
                coupled.setdefault(layer, {}).update(dict.fromkeys(bundle.writes))
    cuts = {}
    for name, module in net.named_modules():
        if name in lost:
            channels = channels_of(module)
            assert channels is not None
            out = [c for c in range(channels.outputs) if c not in lost[name]["out"]]
            into = out if channels.elementwise else [c for c in range(channels.inputs) if c not in lost[name]["in"]]
            cuts[name] = LayerCut((channels.inputs, channels.outputs), into, out, list(coupled[name]))
    return CutList(cuts)
