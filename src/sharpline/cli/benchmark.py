"""``sharpline benchmark``: how fast models are on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sharpline.cli.models_from import model_from
from sharpline.cli.output import fail, one_line, print_json, results, say, screen
from sharpline.errors import AbsentModelError, ModelError, UsageError
from sharpline.runtime.benchmark import Row, Size, Subject, add_rows, measure, subjects
from sharpline.runtime.catalog import card_of
from sharpline.runtime.engines import available_threads
from sharpline.runtime.machine import cores

EXAMPLE = "Example: sharpline benchmark edge-s-x4 pi4-folder/ --input 480x270 --csv boards.csv"
_LARGEST = 16384  # pixels of a side


class BenchmarkEngine(StrEnum):
    """Engines that can be asked for."""

    auto = "auto"
    compiled = "compiled"
    ort = "ort"
    openvino = "openvino"
    litert = "litert"
    ncnn = "ncnn"
    tensorrt = "tensorrt"
    edgetpu = "edgetpu"
    opencv = "opencv"


def benchmark(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL", help="Names, .onnx or .tflite files, checkpoints, folders of boards (each of their files)."
        ),
    ],
    input: Annotated[str, typer.Option("--input", metavar="WxH", help="Size of the frame in LR pixels.")] = "480x270",
    engine: Annotated[
        list[BenchmarkEngine] | None,
        typer.Option(help="Engine (repeatable); default: the best for a file, all that are here for a folder."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="For each model, after a warm-up.")] = 10.0,
    csv: Annotated[Path | None, typer.Option(help="Add the rows to this file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the rows for machines.")] = False,
) -> None:
    """Measure models on this machine: times, memory, start; energy, heat and clock where the system tells.

    Each model runs in a process of its own, and they take turns. Exit code 1: none could be run.
    """
    size, count = parse_size(input), threads or available_threads()
    for model in models:
        _require_there(model)
    engines = [name.value for name in engine or []]
    with TemporaryDirectory(prefix="sharpline-benchmark-") as place:
        files = [_written(model, Path(place) / str(number)) for number, model in enumerate(models)]
        rows, failed = _measured(subjects(files, engines, size, count), seconds, quiet=json)
    for file, model in zip(files, models, strict=True):
        failed = [reason.replace(file, model) for reason in failed]
    if not rows:
        raise ModelError("; ".join(failed))
    if csv is not None:
        add_rows(csv, rows)
    if json:
        print_json({"rows": [asdict(row) for row in rows], "not_run": failed})
    else:
        results.print(table(rows))
        say(facts(rows))
    for reason in failed:
        fail(f"not run: {reason}")


def _require_there(model: str) -> None:
    """Refuse unknown names and absent files before anything is started; what is wrong with the others is told later."""
    if Path(model).exists():
        return
    if Path(model).suffix or os.sep in model:
        raise AbsentModelError(f"{model}: no such model file or board's folder")
    card_of(model)


def _written(model: str, folder: Path) -> str:
    """A checkpoint as a file that another process can open; everything else as it is."""
    graph = model_from(model)
    if isinstance(graph, str):
        return graph
    folder.mkdir()
    path = folder / f"{Path(model).stem}.onnx"
    path.write_bytes(graph.SerializeToString())
    return str(path)


def _measured(wanted: Sequence[Subject], seconds: float, *, quiet: bool) -> tuple[list[Row], list[str]]:
    """Rows, and why others are missing, under a progress bar."""
    if (load := os.getloadavg()[0]) > 0.5:
        say(f"the machine is busy (load {load:.1f} on {cores()} cores): these times are not its own")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True, disable=quiet or not screen.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        return measure(
            wanted,
            seconds,
            progress=lambda what, share: bar.update(task, completed=share, description=one_line(what)),
        )


def parse_size(text: str) -> Size:
    """Width and height.

    Raises:
        UsageError: it is not of the form WxH.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not found or max(int(found[1]), int(found[2])) > _LARGEST:
        raise UsageError(f"--input {text}: write width x height in pixels, for example 480x270")
    return int(found[1]), int(found[2])


def table(rows: Sequence[Row]) -> Table:
    """The times for people; names are never cut, however narrow the screen is."""
    shown = Table(box=None, header_style="bold")
    for heading in ("model", "engine", "input", "p50 ms", "p95", "p99", "fps", "start s", "memory MB", "J/frame"):
        shown.add_column(heading, justify="left" if heading in ("model", "engine") else "right", no_wrap=True)
    for row in rows:
        joules = "" if row.joules_per_frame is None else f"{row.joules_per_frame:.3f}"
        times = (f"{value:.1f}" for value in (row.ms_p50, row.ms_p95, row.ms_p99, row.fps))
        shown.add_row(
            row.model, row.engine, row.input, *times, f"{row.start_s:.2f}", f"{row.peak_memory_mb:.0f}", joules
        )
    for column in shown.columns:
        column.min_width = max(len(str(cell)) for cell in (column.header, *column.cells))
    return shown


def facts(rows: Sequence[Row]) -> str:
    """One line about the machine."""
    row = rows[0]
    known = [
        row.machine,
        f"{row.threads} thread{'s' if row.threads > 1 else ''}",
        row.governor and f"governor {row.governor}",
        "" if row.temperature_c is None else f"{row.temperature_c:.0f} degrees",
        {"yes": "SLOWED DOWN by heat or power", "no": "not throttled", "": "throttling not told"}[row.throttled],
        f"energy by {row.energy_source}" if row.energy_source else "energy not told",
    ]
    return ", ".join(fact for fact in known if fact)
