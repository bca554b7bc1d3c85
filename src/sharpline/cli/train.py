"""``sharpline train``: train a network by a recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sharpline.cli.output import screen
from sharpline.cli.wing import need_lab
from sharpline.errors import UsageError

EXAMPLE = "Example: sharpline train recipes/edge-m-x4.yaml --data ../shared/data"


def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML).", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder that the recipe's paths are relative to; default: $SHARPLINE_DATA."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Run folder; default: runs/NAME.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on where the run stopped.")] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Replace a value of the recipe: key=value (repeatable).")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
) -> None:
    """Train a network as a recipe says; Ctrl-C saves, --resume goes on."""
    need_lab("train")
    import torch

    from sharpline.lab.training.loop import Progress as Step
    from sharpline.lab.training.loop import train as run_training
    from sharpline.lab.training.recipe import load_recipe

    if threads is not None:
        torch.set_num_threads(threads)
    plan = load_recipe(recipe, changes)
    root = data or (Path(os.environ["SHARPLINE_DATA"]) if "SHARPLINE_DATA" in os.environ else None)
    if root is None:
        raise UsageError("no data folder: give --data DIR or set SHARPLINE_DATA")
    folder = output or Path("runs") / plan.name
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=screen) as bar:
        task = bar.add_task(plan.name, total=plan.steps)

        def report(step: Step) -> None:
            score = "" if step.psnr_y is None else f" {step.psnr_y:.3f} dB"
            bar.update(task, completed=step.step, description=f"{plan.name} loss {step.loss:.4f}{score}")

        run = run_training(plan, root, folder, resume=resume, report=report)
    ended = "done" if run.step == plan.steps else "stopped (go on with --resume)"
    screen.print(f"{folder}: {ended} at step {run.step} of {plan.steps}, best {run.best:.3f} dB on {plan.data.valid}")
