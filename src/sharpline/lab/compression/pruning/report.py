"""How sparse a network is, and what that is worth."""

from __future__ import annotations

from dataclasses import dataclass

from sharpline.lab.compression.layers import kernels
from sharpline.lab.compression.pruning.packing import pack
from sharpline.lab.networks import Network


@dataclass(frozen=True)
class LayerSparsity:
    """Of one kernel.

    Attributes:
        weights: how many there are.
        zeros: how many of them are zero.
        dense_bytes: as it is computed with.
        packed_bytes: in a packed checkpoint (a bit a weight, and the values that are not zero).
    """

    layer: str
    weights: int
    zeros: int
    dense_bytes: int
    packed_bytes: int

    @property
    def sparsity(self) -> float:
        """Share of the weights that are zero."""
        return self.zeros / self.weights


@dataclass(frozen=True)
class SparsityReport:
    """Of a network's kernels. Printed, it is a table.

    Zeros among the weights make a file smaller. They make no network faster on the runtimes that Sharpline was
    measured with: those multiply by zero as by any number. Thinning does.
    """

    layers: list[LayerSparsity]

    @property
    def total(self) -> LayerSparsity:
        """All kernels together."""
        names = ("weights", "zeros", "dense_bytes", "packed_bytes")
        return LayerSparsity("all kernels", *(sum(getattr(row, name) for row in self.layers) for name in names))

    def __str__(self) -> str:
        rows = [*self.layers, self.total]
        width = max(len(row.layer) for row in rows)
        lines = [f"{'layer':{width}}  {'weights':>9}  {'zero':>6}  {'bytes':>10}  {'packed':>10}"]
        lines += [
            f"{r.layer:{width}}  {r.weights:>9,}  {r.sparsity:>6.1%}  {r.dense_bytes:>10,}  {r.packed_bytes:>10,}"
            for r in rows
        ]
        return "\n".join([*lines, "Zeros make the file smaller, not the network faster."])


def report(net: Network) -> SparsityReport:
    """Count the zeros of a network's kernels, layer by layer.

    Example:
        >>> from sharpline.lab.networks import build
        >>> report(build({"family": "edge", "channels": 4, "depth": 1, "plain": True})).total.sparsity
        0.0
    """
    rows = []
    for layer, kernel in kernels(net).items():
        small = sum(tensor.nbytes for tensor in pack({layer: kernel})[0].values())
        rows.append(LayerSparsity(layer, kernel.numel(), int((kernel == 0).sum()), kernel.nbytes, small))
    return SparsityReport(rows)
