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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from common import RESULTS, commit, cores, machine, read_csv, write_csv
from report import TORCH, markdown, picture, terminal_table
from rivals import Array, save_layers
from sharpline.errors import ImageError, SharplineError, UsageError
from sharpline.pixels.imresize import imresize
from sharpline.pixels.reading import read_image
from sharpline.runtime.catalog import card_of, open_model, precisions_of
from sharpline.runtime.network import EngineChoice
from sharpline.runtime.upscaler import Upscaler
from workers import Worker, WorkerError, interleave

SCALE = 4
MODELS = ["edge-s-x4", "edge-m-x4"]
INPUTS = ["480x270", "640x480"]
ENGINES: dict[str, dict[EngineChoice, str]] = {
    "fp32": {"ort": "Sharpline, ONNX Runtime", "openvino": "Sharpline, OpenVINO"},
    "int8": {
        "compiled": "Sharpline, compiled",
        "ort": "Sharpline, ONNX Runtime",
        "openvino": "Sharpline, OpenVINO",
    },
}
COLUMNS = (
    *("machine", "commit", "threads", "repeats", "input", "row", "engine", "model"),
    *("ms_median", "ms_p95", "fps", "peak_memory_mb", "psnr_y"),
)
screen = Console(stderr=True, highlight=False)
Result = dict[str, str]


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


def network_rows(model: str, size: str, threads: int, layers: Path) -> Iterator[Row]:
    """A network of ours in its precisions and the engines, and in torch eager with both memory layouts."""
    name = card_of(model).name
    for precision in precisions_of(model):
        label = name if precision == "fp32" else f"{name} INT8"
        for engine, title in ENGINES[precision].items():
            if engine == "compiled" and not has_variant(model):
                screen.print(f"no compiled {label} for this processor: its row is left out", markup=False)
                continue
            arguments = {"model": model, "engine": engine, "threads": threads, "precision": precision}
            yield Row(title, label, size, "rivals:sharpline", arguments)
    for layout in ("contiguous", "channels_last"):
        arguments = {"layers": str(layers), "layout": layout, "threads": threads}
        yield Row(TORCH, name, size, "rivals:torch_eager", arguments)


def has_variant(model: str) -> bool:
    """Whether the compiled engine runs a network here."""
    try:
        return Upscaler(model, engine="compiled").engine_name == "compiled"
    except SharplineError:
        return False


def other_rows(size: str, threads: int, weights: Path) -> Iterator[Row]:
    """What people use today, and the filter that everything is compared with."""
    for network in ("ESPCN", "FSRCNN"):
        file = weights / f"{network}_x{SCALE}.pb"
        if file.is_file():
            arguments = {"weights": str(file), "network": network.lower(), "threads": threads}
            yield Row("OpenCV dnn_superres", network, size, "rivals:opencv", arguments)
    yield Row("Pillow", "Lanczos", size, "rivals:pillow")
    arguments = {"model": "bicubic", "engine": "auto", "threads": threads, "precision": "auto"}
    yield Row("Sharpline, NumPy", "bicubic", size, "rivals:sharpline", arguments)


def photograph(folder: Path, size: str) -> Array:
    """The first picture of a folder in the wanted size: black frames and noise would have a speed of their own."""
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


def measure(rows: Sequence[Row], images: Mapping[str, Path], set5: Path, threads: int, repeats: int) -> list[Result]:
    """Starts all rows, times them in rounds, compares their pictures and scores them.

    Args:
        rows: The rows.
        images: The ``.npy`` file with the input by size; outputs are written beside it.
        set5: Folder of the pictures for the PSNR.
        threads: Threads within one call.
        repeats: Number of rounds.

    Returns:
        The result file's lines.

    Raises:
        WorkerError: A row failed, or rows of one network differ.
    """
    psnr: dict[tuple[str, str], float] = {}  # by model and engine: the same for every input
    with ExitStack() as stack, Progress(console=screen, transient=True, auto_refresh=False) as bar:
        workers = []
        for row in bar.track(rows, description="starting"):
            worker = Worker(row.make, {**row.arguments, "scale": SCALE}, image=images[row.input], threads=threads)
            workers.append(stack.enter_context(closing(worker)))
        task = bar.add_task("timing", total=repeats * len(rows))
        times = interleave(workers, repeats, progress=lambda: bar.update(task, advance=1, refresh=True))
        memory = [worker.peak_memory() for worker in workers]
        outputs = [images[row.input].with_name(f"sr{index}.npy") for index, row in enumerate(rows)]
        for worker, output in zip(workers, outputs, strict=True):
            worker.save(output)
        check_equal(rows, outputs)
        for row, worker in bar.track(list(zip(rows, workers, strict=True)), description="scoring"):
            if (row.model, worker.engine) not in psnr:
                score = worker.apply("rivals:psnr_y", folder=str(set5), scale=SCALE)
                psnr[row.model, worker.engine] = score
    facts = {"machine": machine(), "commit": commit(), "threads": str(threads), "repeats": str(repeats)}
    return [
        facts
        | {"input": row.input, "row": row.name, "engine": worker.engine, "model": row.model}
        | {"ms_median": f"{np.median(ms):.1f}", "ms_p95": f"{np.percentile(ms, 95):.1f}"}
        | {"fps": f"{1e3 / np.median(ms):.1f}", "peak_memory_mb": f"{peak:.0f}"}
        | {"psnr_y": f"{psnr[row.model, worker.engine]:.2f}"}
        for row, worker, ms, peak in zip(rows, workers, times, memory, strict=True)
    ]


def run(options: argparse.Namespace) -> list[Result]:
    """Makes inputs and rows in a scratch folder and measures them."""
    if options.data is None:
        raise UsageError("set SHARPLINE_DATA or --data to the folder that has test/Set5")
    set5, weights = options.data / "test" / "Set5", options.data.resolve().parent / "reference" / "weights"
    if not weights.is_dir():
        screen.print(f"there is no {weights}: OpenCV's rows are left out", markup=False, soft_wrap=True)
    load = os.getloadavg()[0]
    if load > 0.5:
        screen.print(f"the machine is busy (load {load:.1f} on {cores()} cores): do not trust these times")
    with tempfile.TemporaryDirectory() as scratch:
        images = {size: Path(scratch) / f"{size}.npy" for size in options.input}
        for size, path in images.items():
            np.save(path, photograph(set5, size))
        rows: list[Row] = []
        layers = [Path(scratch) / f"layers{index}.npz" for index in range(len(options.model))]
        for model, path in zip(options.model, layers, strict=True):
            graph = open_model(model, scale=SCALE, precision="fp32").graph
            if graph is None:
                raise UsageError(f"{model} is no network; it has its row without --model")
            save_layers(graph, path)
        for size in options.input:
            for model, path in zip(options.model, layers, strict=True):
                rows += network_rows(model, size, options.threads, path)
            rows += other_rows(size, options.threads, weights)
        return measure(rows, images, set5, options.threads, options.repeats)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    data = os.environ.get("SHARPLINE_DATA")
    parser.add_argument("--repeats", type=_count, default=20, help="calls of each row that count (20)")
    parser.add_argument("--threads", type=_count, default=2, help="threads within one call (2)")
    parser.add_argument("--data", type=Path, default=data and Path(data), help="has test/Set5 (SHARPLINE_DATA)")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="folder (benchmarks/results)")
    parser.add_argument("--model", nargs="+", default=MODELS, help="names or .onnx files (edge-s-x4 edge-m-x4)")
    parser.add_argument("--input", nargs="+", default=INPUTS, help="WIDTHxHEIGHT (480x270 640x480)")
    parser.add_argument("--markdown", action="store_true", help="only print the README's table from the results")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. Exit code 0: done; 1: something failed; 2: usage."""
    options = _parsed(arguments)
    file = options.output / "upscale.csv"
    try:
        if options.markdown:
            print(markdown(read_csv(file)))
            return 0
        lines = run(options)
        write_csv(file, COLUMNS, lines)
        picture(lines, file.with_suffix(".png"))
    except (SharplineError, WorkerError, OSError) as error:
        print("error:", error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    Console(highlight=False, width=130).print(terminal_table(lines))
    screen.print(f"{file} and {file.with_suffix('.png').name} written", markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
