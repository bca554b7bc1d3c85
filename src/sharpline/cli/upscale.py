"""``sharpline upscale``: enlarge pictures."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sharpline.cli.models_from import ZERO_SHOT, Precision, model_from, zero_shot
from sharpline.cli.output import fail, one_line, print_json, say, screen
from sharpline.errors import UsageError
from sharpline.pixels.reading import DEFAULT_MAX_PIXELS
from sharpline.runtime.batch import Outcome, upscale_files
from sharpline.runtime.catalog import model_for
from sharpline.runtime.interpolation import DEFAULT_SCALE, KERNELS
from sharpline.runtime.targets import Job, missing, plan
from sharpline.runtime.upscaler import Enlarges, Upscaler

EXAMPLE = "Example: sharpline upscale photo.jpg scans/ -r -o sharp/ --format png"


class Engine(StrEnum):
    """Engines that can be asked for."""

    auto = "auto"
    ort = "ort"
    openvino = "openvino"
    compiled = "compiled"


class Format(StrEnum):
    """Formats that can be asked for."""

    png = "png"
    jpg = "jpg"
    webp = "webp"
    avif = "avif"
    tiff = "tiff"


def upscale(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT", help="Files, folders or glob patterns.", show_default=False)
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="File or folder; default: <stem>_x4.<ext> beside the input."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Name (see sharpline models), .onnx file, checkpoint, or zssr; default: edge-m at the scale."
        ),
    ] = None,
    scale: Annotated[int | None, typer.Option(min=1, help="Enlargement; default: the model's.")] = None,
    tile: Annotated[str, typer.Option(metavar="N|auto", help="Side of a tile in input pixels.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    engine: Annotated[Engine, typer.Option(help="What runs the network.")] = Engine.auto,
    precision: Annotated[
        Precision, typer.Option(help="Of an embedded network; auto: integers where it has them.")
    ] = Precision.auto,
    format: Annotated[Format | None, typer.Option(help="Format of the results; default: as the input.")] = None,
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Look into folders' folders too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results (never an input).")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out inputs whose result is there: goes on with a batch.")
    ] = False,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse inputs with more pixels than this.")
    ] = DEFAULT_MAX_PIXELS,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print a report for machines on standard output (errors of usage: on standard error)."
        ),
    ] = False,
) -> None:
    """Enlarge pictures: files, folders, patterns. Depth, alpha, profile and metadata are kept.

    Exit code 0: all done. 1: some failed, the others are done. 2: usage. 130: stopped by Ctrl-C.
    """
    if model == ZERO_SHOT:
        if precision is Precision.int8 or engine not in (Engine.auto, Engine.ort):
            raise UsageError(
                f"{ZERO_SHOT} learns in floats and runs in ONNX Runtime: leave --precision and --engine out"
            )
        chosen, s = None, scale or DEFAULT_SCALE
    else:
        chosen, s = model_for(None if model is None else model_from(model, scale), scale)
    if isinstance(chosen, str) and chosen in KERNELS and engine is not Engine.auto:
        raise UsageError(f"{chosen} is interpolation, which no engine runs: leave --engine out")
    jobs = plan(inputs, output, s, format=format.value if format else None, recursive=recursive)
    if skip_existing and overwrite:
        raise UsageError("--skip-existing and --overwrite contradict each other")
    if skip_existing:
        jobs = missing(jobs)
    upscaler: Enlarges = (
        zero_shot(s, threads)
        if chosen is None
        else Upscaler(
            chosen, scale=s, engine=engine.value, threads=threads, tile=parse_tile(tile), precision=precision.value
        )
    )
    outcomes, stopped = run(jobs, upscaler, overwrite=overwrite, max_pixels=max_pixels, quiet=json)
    failed = [outcome for outcome in outcomes if outcome.error]
    if json:
        print_json(report(outcomes, upscaler))
    elif len(jobs) > 1 or stopped:
        did = f"{len(outcomes) - len(failed)} of {len(jobs)} done"
        say(("stopped, " if stopped else "") + did + (f", {len(failed)} failed" if failed else ""))
    if stopped:
        raise typer.Exit(130)
    if failed:
        raise typer.Exit(1)


def parse_tile(text: str) -> int | Literal["auto"]:
    """``auto`` or a side of at least 1."""
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--tile {text}: give a number of input pixels, for example 256, or auto")
    return int(text)


def run(
    jobs: Sequence[Job], upscaler: Enlarges, *, overwrite: bool, max_pixels: int, quiet: bool
) -> tuple[list[Outcome], bool]:
    """Do the jobs under a progress bar, one line for each that ends; tell whether Ctrl-C stopped it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    outcomes = []
    with Progress(*columns, console=screen, transient=True, disable=quiet or not screen.is_terminal) as bar:
        task = bar.add_task("", total=len(jobs))
        place = {job: number for number, job in enumerate(jobs)}

        def advance(job: Job, share: float) -> None:
            bar.update(task, completed=place[job] + share, description=one_line(job.source.name))

        try:
            for outcome in upscale_files(jobs, upscaler, overwrite=overwrite, max_pixels=max_pixels, progress=advance):
                outcomes.append(outcome)
                if outcome.error:
                    fail(outcome.error)
                elif not quiet:
                    say(summary(outcome, upscaler))
        except KeyboardInterrupt:
            return outcomes, True
    return outcomes, False


def summary(outcome: Outcome, upscaler: Enlarges) -> str:
    """One honest line about a picture that was written."""
    assert outcome.lr_size is not None
    assert outcome.sr_size is not None
    lr, sr = ("{}x{}".format(*size) for size in (outcome.lr_size, outcome.sr_size))
    seconds = ", ".join(f"{step} {value:.2f} s" for step, value in outcome.seconds.items())
    return f"{outcome.job.target}: {lr} -> {sr}, {upscaler.card.name}, {outcome.engine}; {seconds}"


def report(outcomes: Sequence[Outcome], upscaler: Enlarges) -> dict[str, Any]:
    """What ``--json`` prints."""
    files = [
        {
            "input": str(outcome.job.source),
            "output": None if outcome.error else str(outcome.job.target),
            "error": outcome.error,
            "lr_size": outcome.lr_size,
            "sr_size": outcome.sr_size,
            "engine": outcome.engine,
            "seconds": {step: round(value, 4) for step, value in outcome.seconds.items()},
        }
        for outcome in outcomes
    ]
    return {
        "model": upscaler.card.name,
        "version": upscaler.card.version,
        "engine": upscaler.engine_name,
        "scale": upscaler.scale,
        "done": sum(outcome.error is None for outcome in outcomes),
        "failed": sum(outcome.error is not None for outcome in outcomes),
        "files": files,
    }
