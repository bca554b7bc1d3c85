"""Draws the lines of frontier.csv: dB over milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from figures import GREY, Note, label, logarithmic, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Line = Mapping[str, str]
_BLUE = "#0072b2"
# Colours that everybody can tell apart (Okabe and Ito), and markers for those who print without.
_SHIPPED = {
    "compiled INT8": ("*", 14, "#d55e00"),
    "OpenVINO INT8": ("^", 8, "#009e73"),
    "ONNX Runtime INT8": ("s", 7, "#cc79a7"),
    "ONNX Runtime FP32": ("P", 8, "#000000"),
}


def best_for_the_time(lines: Sequence[Line]) -> list[Line]:
    """Lines that no other beats in both, fastest first."""
    kept: list[Line] = []
    for line in sorted(lines, key=lambda line: (float(line["ms_median"]), -float(line["cid22 psnr_y"]))):
        if not kept or float(line["cid22 psnr_y"]) > float(kept[-1]["cid22 psnr_y"]):
            kept.append(line)
    return kept


def chart(lines: Sequence[Line], path: Path) -> None:
    """Draw dB over milliseconds, in three series that can be told apart.

    Args:
        lines: The result file's lines.
        path: The PNG file; it appears whole or not at all.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6), dpi=150, layout="constrained")
    notes = [*_candidates(axes, lines), *_shipped(axes, lines), *_published(axes, lines)]
    logarithmic(axes)
    first = lines[0]
    axes.set_xlabel(f"milliseconds a frame of {first['input']}, enlarged 4 times, array to array (log)")
    axes.set_ylabel("Y-PSNR on valid/cid22 x4, dB")
    busy = f"; BUSY (load {first['load']}): no times to rely on" if float(first["load"]) > 0.5 else ""
    axes.set_title(f"{first['machine']}; {first['threads']} threads{busy}", fontsize=9, color=GREY)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    label(axes, notes)
    save(figure, path)


def _candidates(axes: Axes, lines: Sequence[Line]) -> list[Note]:
    own = [line for line in lines if line["series"] == "candidate"]
    if not own:
        return []
    axes.plot(*zip(*map(_point, best_for_the_time(own)), strict=True), ":", color=_BLUE, linewidth=1, zorder=1)
    words = f"shape, channels x depth, only {int(own[0]['steps']):,} steps: compiled INT8"
    axes.plot(*zip(*map(_point, own), strict=True), "o", mfc="white", color=_BLUE, markersize=7, label=words)
    return [(_point(line), line["model"].removeprefix("edge-"), _BLUE) for line in own]


def _shipped(axes: Axes, lines: Sequence[Line]) -> list[Note]:
    notes, own = [], [line for line in lines if line["series"] == "shipped"]
    for model in dict.fromkeys(line["model"] for line in own):
        rows = sorted((line for line in own if line["model"] == model), key=_point)
        axes.plot(*zip(*map(_point, rows), strict=True), "-", color=GREY, linewidth=0.8, zorder=1)
        notes.append(_named(rows[0]))
    for row, (marker, size, colour) in _SHIPPED.items():
        points = [_point(line) for line in own if line["row"] == row]
        if points:
            axes.plot(*zip(*points, strict=True), marker, color=colour, markersize=size, label=f"shipped: {row}")
    return notes


def _published(axes: Axes, lines: Sequence[Line]) -> list[Note]:
    own = [line for line in lines if line["series"] == "published"]
    if own:
        label = f"published: {own[0]['row']}"
        axes.plot(*zip(*map(_point, own), strict=True), "D", color=GREY, markersize=7, label=label)
    return [_named(line) for line in own]


def _named(line: Line) -> Note:
    return _point(line), f"{line['model']}, Set5 {line['Set5 psnr_y']}", GREY


def _point(line: Line) -> tuple[float, float]:
    return float(line["ms_median"]), float(line["cid22 psnr_y"])
