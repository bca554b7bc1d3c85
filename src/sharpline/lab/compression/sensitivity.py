"""How much each layer minds: dB lost over the share of its weights or channels that go, and over its bits."""

from __future__ import annotations

import copy
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sharpline.errors import UsageError
from sharpline.lab.compression.layers import kernels
from sharpline.lab.compression.pairs import Pair
from sharpline.lab.compression.pruning import Pruner, PruningConfig
from sharpline.lab.compression.quantization import Calibration, QuantizationConfig, calibrate, quantize
from sharpline.lab.compression.quantization.stack import plain_stack_of
from sharpline.lab.compression.thinning import ThinningConfig, cut, masked, plan
from sharpline.lab.networks import Network
from sharpline.lab.networks.fake_quant import Bits
from sharpline.lab.training.validate import upscale
from sharpline.pixels.atomic import whole_file
from sharpline.pixels.metrics import psnr_y

Kind = Literal["sparsity", "thinning", "bits"]
SHARES = (0.25, 0.5, 0.75, 0.9)
BITS: tuple[Bits, ...] = (4, 2, 1)


@dataclass(frozen=True)
class Point:
    """What one change to one layer costs.

    Attributes:
        layer: its name.
        kind: ``sparsity``: the share ``amount`` of its weights is zero; ``thinning``: that share of its channels is
            gone, with what is coupled; ``bits``: its weights have so many, all others 8.
        drop: loss of mean Y-PSNR in dB, without training after it.
        macs: of the whole network after it.
        bits_saved: of the whole network's weights, against FP32 (for ``bits``: against 8).
    """

    layer: str
    kind: Kind
    amount: float
    drop: float
    macs: int
    bits_saved: int


def score(net: Network, pairs: Sequence[Pair]) -> float:
    """Mean Y-PSNR in dB."""
    return float(np.mean([psnr_y(upscale(net, lr), hr, net.config.scale) for lr, hr in pairs]))


def sensitivity(
    net: Network,
    pairs: Sequence[Pair],
    kinds: Sequence[Kind] = ("sparsity", "thinning", "bits"),
    tell: Callable[[Point], None] = lambda point: None,
) -> list[Point]:
    """Change one layer at a time and see what is lost; nothing is trained.

    Args:
        net: any family for sparsity and thinning, plain stacks for bits.
        pairs: LR and HR pictures in its colours, uint8 [H, W, C]; a few small ones are enough to compare layers.
        kinds: of changes.
        tell: called with each point.

    Raises:
        UsageError: no pictures, or bits of a network that has no integer form.
    """
    if not pairs:
        raise UsageError("sensitivity: there are no pictures to measure with")
    net = net.plain().eval()
    if "bits" in kinds:
        plain_stack_of(net)  # refused now rather than after the other kinds
    found = []
    for kind in kinds:
        for point in KINDS[kind](net, pairs):
            tell(point)
            found.append(point)
    return found


def _sparsity(net: Network, pairs: Sequence[Pair]) -> Iterator[Point]:
    whole = score(net, pairs)
    for layer, kernel in kernels(net).items():
        for share in SHARES:
            copied = copy.deepcopy(net)
            Pruner(copied, PruningConfig(layers={layer: share}), 0).after_step(0)
            saved = round(share * kernel.numel()) * 32
            yield Point(layer, "sparsity", share, whole - score(copied, pairs), net.macs_per_lr_pixel, saved)


def _thinning(net: Network, pairs: Sequence[Pair]) -> Iterator[Point]:
    whole, size = score(net, pairs), net.parameter_count()
    for layer in kernels(net):
        for share in SHARES:
            try:
                cuts = plan(net, ThinningConfig(layers={layer: share}))
            except UsageError:  # the picture's own channels
                break
            if layer not in cuts.layers:  # coupled with layers that keep theirs
                break
            thinned = cut(net, cuts)
            saved = 32 * (size - thinned.parameter_count())
            drop = whole - score(masked(net, cuts), pairs)
            yield Point(layer, "thinning", share, drop, thinned.macs_per_lr_pixel, saved)


def _bits(net: Network, pairs: Sequence[Pair]) -> Iterator[Point]:
    seen = calibrate(net, [lr for lr, _ in pairs])
    yield from bits_points(net, pairs, seen, QuantizationConfig(), plain_stack_of(net).names, BITS)


def bits_points(
    net: Network,
    pairs: Sequence[Pair],
    seen: Calibration,
    config: QuantizationConfig,
    layers: Sequence[str],
    candidates: Sequence[Bits],
) -> Iterator[Point]:
    """What fewer bits cost, layer by layer, all others with 8.

    Args:
        net: a plain stack.
        pairs: LR and HR pictures.
        seen: its calibration.
        config: how it is quantized.
        layers: those that are tried.
        candidates: bits that are tried.
    """
    stack = plain_stack_of(net)
    weights = {layer.name: layer.kernel.numel() for layer in stack.layers}
    eight = score(quantize(net, config, seen), pairs)
    for layer in layers:
        for bits in candidates:
            drop = eight - score(quantize(net, config.with_weights({layer: bits}), seen), pairs)
            yield Point(layer, "bits", bits, drop, net.macs_per_lr_pixel, (8 - bits) * weights[layer])


# How each kind is measured.
KINDS: dict[Kind, Callable[[Network, Sequence[Pair]], Iterator[Point]]] = {
    "sparsity": _sparsity,
    "thinning": _thinning,
    "bits": _bits,
}


def write_csv(path: Path, points: Sequence[Point]) -> None:
    """Write points as CSV; the file appears whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Point.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**asdict(point), "drop": f"{point.drop:.4f}"} for point in points)
    with whole_file(path, overwrite=True) as file:
        file.write(text.getvalue().encode())


def write_plot(path: Path, points: Sequence[Point], title: str) -> None:
    """Draw a panel for each kind of change, a line for each layer (PNG)."""
    from matplotlib.figure import Figure  # slow to load, and only needed here

    kinds = list(dict.fromkeys(point.kind for point in points))
    figure = Figure(figsize=(5 * len(kinds), 4.2), layout="constrained")
    labels = {"sparsity": "share of weights at zero", "thinning": "share of channels gone", "bits": "bits of weights"}
    for axes, kind in zip(np.atleast_1d(figure.subplots(1, len(kinds))), kinds, strict=True):
        for layer in dict.fromkeys(point.layer for point in points if point.kind == kind):
            line = [(point.amount, point.drop) for point in points if (point.kind, point.layer) == (kind, layer)]
            axes.plot(*zip(*line, strict=True), marker=".", label=layer)
        axes.set(xlabel=labels[kind], ylabel="dB lost, no training after", yscale="symlog")
        axes.set_yscale("symlog", linthresh=0.1)
        axes.grid(alpha=0.3)
        if kind == "bits":
            axes.invert_xaxis()
    axes.legend(fontsize=7)
    figure.suptitle(title, fontsize=10)
    with whole_file(path, overwrite=True) as file:
        figure.savefig(file, format="png", dpi=110)
