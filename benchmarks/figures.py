"""What the charts share: labels beside their points, an axis of milliseconds or bytes, a file that appears whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "#525252"
Note = tuple[tuple[float, float], str, str]  # point, text, colour
# Where a text may stand: offset from its point in typographic points, alignment; the nearest first.
_PLACES = [(0, dy, "center") for dy in (11, -12)] + [
    (dx, dy, side) for dy in (0, 9, -9, 18, -18, 27, -27) for dx, side in ((9, "left"), (-9, "right"))
]


def logarithmic(axes: Axes, x: float = 0.1, y: float = 0.1) -> None:
    """A logarithmic axis below with round numbers, a faint grid, and room around for labels."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.margins(x=x, y=y)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)


def label(axes: Axes, notes: Sequence[Note]) -> None:
    """Writes each text beside its point, at the nearest place where it covers neither a point nor another text."""
    from matplotlib.transforms import Bbox

    axes.figure.canvas.draw()
    dots = axes.transData.transform(np.vstack([np.asarray(line.get_xydata()) for line in axes.lines]))
    taken: list[Bbox] = [Bbox.from_bounds(x - 9, y - 9, 18, 18) for x, y in dots]
    for point, text, colour in notes:
        for dx, dy, side in _PLACES:
            note = axes.annotate(
                text, point, (dx, dy), textcoords="offset points", ha=side, va="center", fontsize=9, color=colour
            )
            box = note.get_window_extent()
            inside = axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1
            if inside and not any(box.overlaps(other) for other in taken):
                break
            note.remove()
        else:
            axes.annotate(text, point, _PLACES[0][:2], textcoords="offset points", fontsize=9, color=colour)
        taken.append(box)


def save(figure: Figure, path: Path, dpi: float | None = None) -> None:
    """Write a PNG file, whole or not at all, and close the figure."""
    from matplotlib import pyplot as plt

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=dpi or "figure")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
        plt.close(figure)
