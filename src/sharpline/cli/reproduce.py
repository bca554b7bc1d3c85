"""``sharpline reproduce``: train and score the rows of a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sharpline.cli.ending import STOPPED
from sharpline.cli.output import print_json, results, screen, show_step, step_bar, warn
from sharpline.cli.wing import data_folder, need_lab

if TYPE_CHECKING:
    from sharpline.lab.tables import Plan
    from sharpline.lab.training.loop import Progress as Step
    from sharpline.lab.training.loop import Report

EXAMPLE = "Example: sharpline reproduce recipes/tables/classics-x4.yaml --row espcn-x4"


def reproduce(
    table: Annotated[Path, typer.Argument(help="Table (YAML), see recipes/tables/.", show_default=False)],
    rows: Annotated[
        list[str] | None, typer.Option("--row", help="Name of a recipe of the table (repeatable); default: all.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; default: $SHARPLINE_DATA.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the run folders.")] = Path("runs"),
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="CSV; default: benchmarks/results/TABLE.csv.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Replace a value of every recipe: key=value (repeatable).")
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Do not use a GPU.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the rows for machines.")] = False,
) -> None:
    """Train each network of a table and score it; what is trained already is only scored, Ctrl-C loses nothing."""
    need_lab("reproduce")
    import torch

    from sharpline.lab.tables import load_table
    from sharpline.lab.tables import reproduce as run_table

    if threads is not None:
        torch.set_num_threads(threads)
    plan, chosen = load_table(table, rows or [], changes)
    target = output or Path("benchmarks") / "results" / f"{table.stem}.csv"
    with step_bar(hidden=json) as bar:

        def begin(row: Plan) -> Report:
            name = row.recipe.name
            task = bar.add_task(name, total=row.recipe.steps)

            def tell(step: Step) -> None:
                score = "" if step.psnr_y is None else f" {step.psnr_y:.3f} dB"
                show_step(bar, task, step.step, step.steps, f"{name}{score}")

            return tell

        device = "cpu" if cpu else "auto"
        made = run_table(plan, chosen, data_folder(data), runs, target, device=device, begin=begin, warn=warn)
    stopped = len(made) < len(chosen)
    if json:
        print_json({"table": str(target), "rows": made})
    else:
        _show(made)
        also = "; stopped, the same command goes on from there" if stopped else ""
        screen.print(f"{len(made)} of {len(chosen)} rows in {target}{also}", markup=False)
    if stopped:
        raise typer.Exit(STOPPED)


def _show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        scores = ", ".join(f"{key.removesuffix(' psnr_y')} {row[key]}" for key in row if key.endswith(" psnr_y"))
        results.print(f"{row['network']}: {scores} dB; {row['steps']} steps, {row['hours']} hours", markup=False)
