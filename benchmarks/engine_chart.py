"""Draws the lines of engine.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from figures import save

_OURS, _FP32, _INT8 = "#c2410c", "#a3a3a3", "#525252"


def chart(lines: Sequence[Mapping[str, str]], path: Path) -> None:
    """Draw milliseconds of a frame: a panel a network, a group of bars for each input and number of threads.

    Args:
        lines: The result file's lines.
        path: The PNG file; it appears whole or not at all.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    networks = [line for line in lines if line["bytes_off"] or "FP32" in line["row"]]
    models = list(dict.fromkeys(line["model"] for line in networks))
    figure, panels = plt.subplots(1, len(models), figsize=(6 * len(models), 5.5), layout="constrained", squeeze=False)
    for axes, model in zip(panels[0], models, strict=True):
        own = [line for line in networks if line["model"] == model]
        place, names, places = 0.0, [], []
        for group in dict.fromkeys((line["input"], line["threads"]) for line in own):
            for line in (line for line in own if (line["input"], line["threads"]) == group):
                ms, row = float(line["ms_median"]), line["row"]
                axes.barh(place, ms, color=_OURS if "compiled" in row else _FP32 if "FP32" in row else _INT8)
                axes.text(ms, place, f" {ms:.1f}", va="center", fontsize=7)
                names.append(f"{row}, {group[0]}, {group[1]}")
                places.append(place)
                place += 1
            place += 0.7
        axes.set_yticks(places, names, fontsize=7)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlabel("milliseconds a frame; left: input, threads")
        axes.set_title(model, fontsize=10)
    figure.suptitle(lines[0]["machine"], fontsize=9)
    save(figure, path, dpi=130)
