"""Shows the lines of upscale.csv: a table for the terminal, one for the README, a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from figures import GREY, Note, label, logarithmic, save

Line = Mapping[str, str]
TORCH = "PyTorch eager"
_COLOURS = ("#c2410c", "#f59e0b", "#1d4ed8", "#0ea5e9", "#15803d", "#7e22ce")  # of our networks, in turn
_MARKERS = {"Sharpline, compiled": "*", "Sharpline, ONNX Runtime": "o", "Sharpline, OpenVINO": "^", TORCH: "s"}


def fastest_layouts(lines: Sequence[Line]) -> list[Line]:
    """Keeps the faster of lines of equal row, model and input: of torch's two memory layouts."""
    best: dict[tuple[str, str, str], Line] = {}
    for line in lines:
        key = (line["row"], line["model"], line["input"])
        if key not in best or float(line["ms_median"]) < float(best[key]["ms_median"]):
            best[key] = line
    return list(best.values())


def speed_over_torch(line: Line, lines: Sequence[Line]) -> str:
    """How many times as fast as torch eager with the same network in FP32 and input; empty where there is none."""
    network = line["model"].removesuffix(" INT8")
    torch = [o for o in lines if o["row"] == TORCH and (o["model"], o["input"]) == (network, line["input"])]
    return f"{float(torch[0]['ms_median']) / float(line['ms_median']):.2f}" if torch else ""


def terminal_table(lines: Sequence[Line]) -> Table:
    """All columns that differ, one line a row and input."""
    kept = fastest_layouts(lines)
    table = Table(box=None, header_style="bold")
    for name in ("input", "row", "model", "engine"):
        table.add_column(name)
    for name in ("ms", "p95", "fps", "x torch", "peak MB", "Set5 dB"):
        table.add_column(name, justify="right")
    for line in kept:
        cells = [line[name] for name in ("input", "row", "model", "engine", "ms_median", "ms_p95", "fps")]
        table.add_row(*cells, speed_over_torch(line, kept), line["peak_memory_mb"], line["psnr_y"])
    return table


def markdown(lines: Sequence[Line]) -> str:
    """The README's table: one line a row, the inputs side by side, and below where it was measured."""
    kept = fastest_layouts(lines)
    inputs = list(dict.fromkeys(line["input"] for line in kept))
    head = ["", "model", "Set5 Y-PSNR, dB"]
    for size in inputs:
        head += [f"{size}: ms", "fps", "x torch", "peak MB"]
    out = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    for row, model in dict.fromkeys((line["row"], line["model"]) for line in kept):
        mine = {line["input"]: line for line in kept if (line["row"], line["model"]) == (row, model)}
        cells = [row, model, next(iter(mine.values()))["psnr_y"]]
        for size in inputs:
            line = mine[size]
            cells += [f"{float(line['ms_median']):.0f}", line["fps"], speed_over_torch(line, kept)]
            cells += [line["peak_memory_mb"]]
        out.append(cells)
    first = kept[0]
    engines = ", ".join(dict.fromkeys(line["engine"] for line in kept))
    where = f"{first['machine']}; {first['threads']} threads; median of {first['repeats']}; commit {first['commit']}"
    return "\n".join([*(f"| {' | '.join(cells)} |" for cells in out), "", f"{where}; {engines}."])


def picture(lines: Sequence[Line], path: Path) -> None:
    """Draws PSNR over milliseconds a frame for the first input size.

    Args:
        lines: The result file's lines.
        path: The PNG file; it appears whole or not at all.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    size, first = lines[0]["input"], lines[0]
    kept = [line for line in fastest_layouts(lines) if line["input"] == size]
    ours = list(dict.fromkeys(line["model"] for line in kept if line["row"] in _MARKERS))
    figure, axes = plt.subplots(figsize=(8, 5), dpi=150, layout="constrained")
    notes: list[Note] = []
    for index, model in enumerate(ours):
        mine = [line for line in kept if line["model"] == model]
        colour = _COLOURS[index % len(_COLOURS)]
        axes.plot(*zip(*map(_point, mine), strict=True), "-", color=colour, linewidth=1, zorder=1)
        for line in mine:
            axes.plot(*_point(line), _MARKERS[line["row"]], color=colour, markersize=8)
        notes.append((min(map(_point, mine)), model, colour))
    for line in kept:
        if line["model"] not in ours:
            axes.plot(*_point(line), "D", color=GREY, markersize=6)
            notes.append(
                (_point(line), f"{line['model']}, {line['row'].split()[-1 if ',' in line['row'] else 0]}", GREY)
            )
    logarithmic(axes, 0.12, 0.15)
    axes.set_xlabel(f"milliseconds a frame of {size}, enlarged 4 times, array to array (log)")
    axes.set_ylabel("Y-PSNR on Set5 x4, dB")
    axes.set_title(f"{first['machine']}; {first['threads']} threads", fontsize=9, color=GREY)
    for row, marker in _MARKERS.items():
        axes.plot([], [], marker, color=GREY, markersize=8, label=row.removeprefix("Sharpline, "))
    axes.legend(loc="center right", frameon=False, fontsize=9, labelcolor=GREY)
    label(axes, notes)
    save(figure, path)


def _point(line: Line) -> tuple[float, float]:
    return float(line["ms_median"]), float(line["psnr_y"])
