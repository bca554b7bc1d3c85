"""Pictures of a run: what the network makes of a validation picture, and its curves on one page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image

from sharpline.lab.data.cache import PictureCache
from sharpline.lab.networks import Network
from sharpline.lab.training.logbook import Entry, read_entries
from sharpline.lab.training.losses import to_luma
from sharpline.lab.training.validate import upscale
from sharpline.lab.training.writing import written

_SIDE = 64  # LR pixels of the preview
_PANELS = (("psnr_y", "validation PSNR, dB"), ("loss", "training loss"), ("rate", "learning rate, share of its peak"))


def preview(net: Network, pictures: PictureCache) -> NDArray[np.uint8]:
    """The middle of the first picture: LR, network and original side by side, [H, 3 W, 3]; luma alone in grey."""
    s = net.config.scale
    lr, hr = pictures.lr[0], pictures.hr[0]
    top, left = (max(0, (n - _SIDE) // 2) for n in lr.shape[:2])
    small = np.array(lr[top : top + _SIDE, left : left + _SIDE])
    original = hr[top * s : (top + _SIDE) * s, left * s : (left + _SIDE) * s]
    if net.config.colour == "y":
        small, original = _grey(small), _grey(original)
    enlarged = small.repeat(s, 0).repeat(s, 1)
    row = np.concatenate([enlarged, upscale(net, small), original], axis=1)
    return np.ascontiguousarray(np.broadcast_to(row, (*row.shape[:2], 3)))


def write_report(folder: Path) -> None:
    """Draw ``report.png`` from what a run's folder holds; nothing where no validation was reached."""
    if not (folder / "metrics.csv").exists():
        return
    from matplotlib.figure import Figure  # slow to load, and only needed here

    entries = read_entries(folder)
    if not entries:
        return
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    facts = json.loads((folder / "provenance.json").read_text())
    figure = Figure(figsize=(12, 7.5), layout="constrained")
    grid = figure.add_gridspec(2, len(_PANELS), height_ratios=[1, 1.1])
    for column, (name, title) in enumerate(_PANELS):
        axes = figure.add_subplot(grid[0, column])
        axes.plot([e.step for e in entries], [getattr(e, name) for e in entries], marker=".", markersize=4)
        axes.set(title=title, xlabel="step")
        axes.grid(alpha=0.3)
        if name == "loss":
            axes.set_yscale("log")
    axes = figure.add_subplot(grid[1, :])
    with Image.open(folder / "preview.png") as picture:
        axes.imshow(np.asarray(picture), interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(f"LR | network at step {entries[-1].step} | original")
    figure.suptitle(_headline(recipe, facts, entries), fontsize=10)
    with written(folder / "report.png") as file:
        figure.savefig(file, format="png", dpi=110)


def _headline(recipe: dict[str, object], facts: dict[str, str], entries: list[Entry]) -> str:
    best = max(entries, key=lambda entry: entry.psnr_y)
    last = entries[-1]
    return (
        f"{recipe['name']}: best {best.psnr_y:.3f} dB at step {best.step} of {recipe['steps']}; "
        f"{last.seconds / 60:.0f} minutes, {last.patches_per_second:.0f} patches a second\n"
        f"{facts['processor']}, {facts['device']}, processes: {facts['processes']}, commit {facts['commit']}"
    )


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    y = to_luma(torch.from_numpy(rgb / np.float32(255)).permute(2, 0, 1)[None])[0, 0]
    return y.mul(255).round().to(torch.uint8).numpy()[:, :, None]
