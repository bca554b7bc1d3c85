"""Draws the lines of compression-curve.csv: dB over bytes, and over milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from figures import GREY, Note, label, logarithmic, save

Line = Mapping[str, str]
_MADE, _WHOLE = "#d55e00", "#0072b2"  # which everybody can tell apart (Okabe and Ito)
_PANELS = {
    "onnx_bytes_deflated": (1e-3, "kilobytes of the model file, deflated (log)"),
    "ms": (1.0, "milliseconds a frame of 480 x 270 (log)"),
}


def chart(lines: Sequence[Line], path: Path) -> None:
    """Draw what was compressed beside what was trained at its size.

    Args:
        lines: The result file's lines, with their times.
        path: The PNG file; it appears whole or not at all.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(_PANELS), figsize=(13, 5), dpi=150, layout="constrained", sharey=True)
    for axes, (column, (unit, words)) in zip(panels, _PANELS.items(), strict=True):
        notes: list[Note] = []
        for line in lines:
            made = int(line["steps"]) > 0
            point, colour = (float(line[column]) * unit, float(line["Set5 psnr_y"])), _MADE if made else _WHOLE
            axes.plot(*point, "o" if made else "D", color=colour, markersize=7)
            notes.append((point, line["row"].removesuffix(", INT8"), colour))
        logarithmic(axes, 0.2, 0.15)
        axes.set_xlabel(words)
        label(axes, notes)
    panels[0].set_ylabel("Y-PSNR on Set5 x4, dB")
    for marker, colour, words in (("D", _WHOLE, "as trained, INT8"), ("o", _MADE, "made of edge-m, INT8")):
        panels[1].plot([], [], marker, color=colour, label=words)
    panels[1].legend(loc="lower right", frameon=False, fontsize=9)
    figure.suptitle(lines[0]["machine"], fontsize=9, color=GREY)
    save(figure, path)
