"""``sharpline train``: train a network by a recipe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sharpline.cli.ending import STOPPED
from sharpline.cli.output import screen, show_step, step_bar, warn
from sharpline.cli.wing import data_folder, need_lab
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
    devices: Annotated[
        str, typer.Option(help="auto (a GPU if there is one), cpu, or a number of processes on this machine.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of a process; default: all.")] = None,
) -> None:
    """Train a network as a recipe says; Ctrl-C saves, --resume goes on.

    For several machines start it with torchrun or accelerate launch: see docs/training.md.
    """
    need_lab("train")
    from sharpline.lab.training.launch import launched, run_in_processes
    from sharpline.lab.training.recipe_file import load_recipe

    if devices.isdigit() and not launched():
        load_recipe(recipe, changes)  # refused once, not by each of them
        sys.exit(run_in_processes(int(devices), sys.argv[1:]))
    if devices not in ("auto", "cpu") and not devices.isdigit():
        raise UsageError(f"--devices {devices}: give auto, cpu, or a number of processes")
    _train(recipe, data, output, resume, changes, "cpu" if devices == "cpu" else "auto", threads)


def _train(
    recipe: Path,
    data: Path | None,
    output: Path | None,
    resume: bool,
    changes: list[str] | None,
    device: str,
    threads: int | None,
) -> None:
    import torch

    from sharpline.lab.training.launch import is_chief, under_torchrun
    from sharpline.lab.training.loop import Progress as Step
    from sharpline.lab.training.loop import train as run_training
    from sharpline.lab.training.recipe_file import load_recipe

    if threads is not None:
        torch.set_num_threads(threads)
    plan = load_recipe(recipe, changes)
    folder = output or Path("runs") / plan.name
    with step_bar(hidden=not is_chief()) as bar:
        task = bar.add_task(plan.name, total=plan.steps)

        def report(step: Step) -> None:
            score = "" if step.psnr_y is None else f" {step.psnr_y:.3f} dB"
            show_step(bar, task, step.step, step.steps, f"{plan.name} loss {step.loss:.4f}{score}")

        run = run_training(plan, data_folder(data), folder, resume=resume, device=device, report=report, warn=warn)
        bar.update(task, completed=run.step)
    stopped = run.step < plan.steps
    if is_chief():
        ended = "stopped (go on with --resume)" if stopped else "done"
        best = f"best {run.best:.3f} dB on {plan.data.valid}" if run.best > 0 else "not validated yet"
        screen.print(f"{folder}: {ended} at step {run.step} of {plan.steps}, {best}")
    if stopped and not under_torchrun():  # which would take it for a crash, and end the others
        raise typer.Exit(STOPPED)
