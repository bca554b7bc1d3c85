"""Times x4 upscaling from array to array: Sharpline against torch eager, OpenCV, Pillow and bicubic.

    python benchmarks/upscale.py                 measure; writes benchmarks/results/upscale.csv and .png
    python benchmarks/upscale.py --markdown      print the README's table from that file

Rows, columns and their meaning: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from common import RESULTS, commit, cores, machine, read_csv, write_csv
from report import fastest_layouts, markdown, picture, table
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rivals import Array, save_layers
from workers import Worker, WorkerError, interleave

from sharpline.errors import ImageError, SharplineError, UsageError
from sharpline.pixels.imresize import imresize
from sharpline.pixels.reading import read_image
from sharpline.runtime.catalog import open_model

SCALE = 4
MODELS = ("edge-s-x4", "edge-m-x4")
INPUTS = ("480x270", "640x480")
COLUMNS = (
    *("machine", "commit", "threads", "repeats", "input", "row", "engine", "model"),
    *("ms_median", "ms_p95", "fps", "peak_memory_mb", "psnr_y"),
)
screen = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Row:
    """One line of the table: what is run, in which size.

    Args:
        name: What people call it.
        model: The network or filter; rows of one network have to give equal pictures.
        input: Width x height of the input.
        make: ``module:function`` of the maker.
        arguments: Its arguments.
    """

    name: str
    model: str
    input: str
    make: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def rows_of(model: str, size: str, threads: int, layers: Path) -> Iterator[Row]:
    """A network of ours in its engines, and in torch eager with both memory layouts."""
    card = open_model(model, scale=SCALE).card
    for engine in ("ort", "openvino"):
        yield Row("sharpline", card.name, size, "rivals:sharpline", {"model": model, "engine": engine, "threads": threads})
    for layout in ("contiguous", "channels_last"):
        arguments = {"layers": str(layers), "layout": layout, "threads": threads}
        yield Row("torch eager", card.name, size, "rivals:torch_eager", arguments)


def other_rows(size: str, threads: int, weights: Path) -> Iterator[Row]:
    """What people use today."""
    for network in ("ESPCN", "FSRCNN"):
        file = weights / f"{network}_x{SCALE}.pb"
        if file.is_file():
            arguments = {"weights": str(file), "network": network.lower(), "threads": threads}
            yield Row("opencv dnn_superres", network, size, "rivals:opencv", arguments)
        else:
            screen.print(f"left out: {network} in OpenCV, there is no {file}", markup=False, soft_wrap=True)
    yield Row("pillow", "lanczos", size, "rivals:pillow")
    yield Row("sharpline", "bicubic", size, "rivals:sharpline", {"model": "bicubic", "engine": "auto", "threads": threads})


def photograph(folder: Path, size: str) -> Array:
    """A natural picture of the wanted size, from the first picture of a folder: zeros and noise have their own speed."""
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", size)
    if not found:
        raise UsageError(f"an input is WIDTHxHEIGHT, for example 480x270, not {size!r}")
    files = sorted(folder.glob("*.png"))
    if not files:
        raise UsageError(f"{folder} has no PNG pictures; set SHARPLINE_DATA or --data to the folder that has test/Set5")
    pixels = read_image(files[0]).pixels
    if pixels.dtype != np.uint8 or pixels.shape[2] != 3:
        raise ImageError(f"{files[0]} is not 8-bit RGB, which all rows can enlarge; use another picture")
    return imresize(pixels, size=(int(found[2]), int(found[1])))


def check_equal(rows: Sequence[Row], outputs: Sequence[Path]) -> None:
    """Refuses to compare the times of rows that do not make the same picture of the same network.

    Raises:
        WorkerError: Two rows of one model and one input differ by more than one level.
    """
    firsts: dict[tuple[str, str], tuple[Row, Array]] = {}
    for row, path in zip(rows, outputs, strict=True):
        sr = np.load(path).astype(np.int16)
        first, expected = firsts.setdefault((row.model, row.input), (row, sr))
        worst = int(np.abs(sr - expected).max()) if sr.shape == expected.shape else 256
        if worst > 1:
            raise WorkerError(f"{row.name} {row.arguments} differs from {first.name} on {row.model} by {worst} levels")


def measure(
    rows: Sequence[Row], images: Mapping[str, Path], set5: Path, options: argparse.Namespace, bar: Progress
) -> list[dict[str, object]]:
    """Starts all rows, times them in rounds, checks their outputs and scores them.

    Args:
        rows: The rows.
        images: The ``.npy`` input by size.
        set5: Folder of the pictures for the PSNR.
        options: The command line.
        bar: Shows the progress.

    Returns:
        The result file's lines.
    """
    folder = images[rows[0].input].parent
    outputs = [folder / f"sr{index}.npy" for index in range(len(rows))]
    psnr: dict[tuple[str, str], float] = {}  # of what the process runs; the input's size does not matter
    task = bar.add_task("", total=None)
    with ExitStack() as stack:

        def start(row: Row) -> Worker:
            arguments = {**row.arguments, "scale": SCALE}
            return stack.enter_context(
                closing(Worker(row.make, arguments, image=images[row.input], threads=options.threads))
            )

        workers = [start(row) for row in _tracked(rows, "starting", bar)]
        bar.update(task, description="timing", completed=0, total=options.repeats * len(rows))
        times = interleave(workers, options.repeats, progress=lambda: _step(bar))
        memory = [worker.peak_memory() for worker in workers]
        for worker, path in _tracked([*zip(workers, outputs, strict=True)], "comparing", bar):
            worker.save(path)
        check_equal(rows, outputs)
        for row, worker in _tracked([*zip(rows, workers, strict=True)], "scoring", bar):
            key = (row.model, worker.engine)
            psnr[key] = psnr.get(key) or worker.apply("rivals:psnr_y", folder=str(set5), scale=SCALE)
    facts = {"machine": machine(), "commit": commit(), "threads": options.threads, "repeats": options.repeats}
    return [
        facts | _result(row, worker.engine, ms, peak) | {"psnr_y": f"{psnr[row.model, worker.engine]:.2f}"}
        for row, worker, ms, peak in zip(rows, workers, times, memory, strict=True)
    ]
