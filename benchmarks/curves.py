"""Draws how the networks learnt: dB on the validation pictures over hours of one core.

    python benchmarks/curves.py     results/training/*.csv -> results/training/curves-x4.png

The files are copies of the runs' ``metrics.csv``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from common import RESULTS, read_csv
from figures import GREY, label, logarithmic, save

BICUBIC = 27.47  # sharpline evaluate --model bicubic --scale 4 --hr valid/cid22
# Networks of the field that were trained here, and the embedded ones in their two trainings, one after the other.
# Colours that everybody can tell apart.
CURVES = {
    "srcnn-x4": ("SRCNN", "#0072b2"),
    "espcn-x4": ("ESPCN", "#56b4e9"),
    "fsrcnn-x4": ("FSRCNN", "#009e73"),
    "vdsr-hour": ("VDSR", "#d55e00"),
    "lapsrn-x4-hour": ("LapSRN", "#cc79a7"),
    "edge-s-x4 edge-s-x4-taught": ("edge-s", "#999999"),
    "edge-m-x4 edge-m-x4-taught": ("edge-m", "#000000"),
}


def chart(folder: Path, path: Path) -> None:
    """Draw the curves that are there.

    Args:
        folder: Of the CSV files.
        path: The PNG file; it appears whole or not at all.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5.5), dpi=150, layout="constrained")
    notes = []
    for names, (words, colour) in CURVES.items():
        hours, scores, steps = _curve(folder, names.split())
        axes.plot(hours, scores, marker="o", markersize=3, color=colour, linewidth=1.4)
        notes.append(((hours[-1], scores[-1]), f"{words}, {steps:,} steps", colour))
    axes.axhline(BICUBIC, color=GREY, linewidth=1, linestyle="--")
    logarithmic(axes)
    axes.annotate("bicubic", (axes.get_xlim()[0], BICUBIC), (4, 5), textcoords="offset points", fontsize=9, color=GREY)
    axes.set_xlabel("hours of one core that others share, in steps (log)")
    axes.set_ylabel("Y-PSNR on valid/cid22 x4, dB")
    label(axes, notes)
    save(figure, path)


def _curve(folder: Path, names: list[str]) -> tuple[list[float], list[float], int]:
    """Hours, scores and the number of steps of trainings that follow each other."""
    hours, scores, steps = [0.0], [], 0
    for name in names:
        rows, before = read_csv(folder / f"{name}.csv"), hours[-1]
        hours += [before + float(row["seconds"]) / 3600 for row in rows]
        scores += [float(row["psnr_y"]) for row in rows]
        steps += int(rows[-1]["step"])
    return hours[1:], scores, steps


def main() -> int:
    """Runs the command line. Exit code 0: done; 1: a curve is not there."""
    folder = RESULTS / "training"
    try:
        chart(folder, folder / "curves-x4.png")
    except OSError as error:
        print("error:", error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
