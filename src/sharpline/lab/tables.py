"""Tables of the field, made again: train each row's recipe, score it, write a CSV that says how."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sharpline.errors import UsageError
from sharpline.lab.boards.onnx_file import export_onnx
from sharpline.lab.training.logbook import read_entries
from sharpline.lab.training.loop import Report, train
from sharpline.lab.training.recipe import Recipe
from sharpline.lab.training.recipe_file import load_recipe
from sharpline.pixels.atomic import whole_file
from sharpline.runtime.evaluation import evaluate_model, pictures_in
from sharpline.runtime.upscaler import Upscaler
from sharpline.settings import explain, line_of, mapping_of, text_of


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Strict):
    """One network of a table.

    Attributes:
        recipe: file, relative to the table's.
        published: Y-PSNR in dB by set name, as its paper has it; what is not known is left out.
    """

    recipe: str
    published: dict[str, float] = {}


class Table(_Strict):
    """What is trained and where it is scored. Set folders are relative to the data folder."""

    sets: list[str] = Field(min_length=1)
    rows: list[Row] = Field(min_length=1)


@dataclass(frozen=True)
class Plan:
    """A row ready to be trained."""

    recipe: Recipe
    published: dict[str, float]


def load_table(path: Path, only: Sequence[str] = (), changes: list[str] | None = None) -> tuple[Table, list[Plan]]:
    """Read a table and all its recipes, so that mistakes are found before the first training.

    Args:
        path: YAML file.
        only: names of recipes to take; all if empty.
        changes: ``key=value`` for every recipe.

    Raises:
        UsageError: a file that cannot be read or is wrong, a name that no recipe has.
    """
    text = text_of(path)
    content = mapping_of(path, text)
    try:
        table = Table.model_validate(content)
    except ValidationError as error:
        where = line_of(text, error.errors()[0]["loc"])
        raise UsageError(f"{path}{where}: {explain(error, Table)}") from None
    plans = [Plan(load_recipe(path.parent / row.recipe, changes), row.published) for row in table.rows]
    names = [plan.recipe.name for plan in plans]
    if unknown := set(only) - set(names):
        raise UsageError(f"{path}: has no row {', '.join(sorted(unknown))}; its rows are {', '.join(names)}")
    return table, [plan for plan in plans if not only or plan.recipe.name in only]


def reproduce(
    table: Table,
    plans: Sequence[Plan],
    data: Path,
    runs: Path,
    output: Path,
    *,
    device: str = "auto",
    begin: Callable[[Plan], Report],
    warn: Callable[[str], None] = lambda words: None,
) -> list[dict[str, Any]]:
    """Train what is not trained yet, score everything, and write the CSV after each row.

    Interrupted trainings go on where they stopped; a finished one is only scored.

    Args:
        table: names the test sets.
        plans: the rows.
        data: folder that recipes and sets are relative to.
        runs: folder of the run folders.
        output: the CSV. Rows of other networks that it holds already are kept.
        device: as for :func:`sharpline.lab.training.loop.train`.
        begin: called before a row; returns what is told of its steps.
        warn: as for :func:`sharpline.lab.training.loop.train`.

    Returns:
        The rows that were made, as they stand in the CSV.
    """
    for test in table.sets:
        pictures_in(data / test)  # a folder that is missing is found before the first training
    made = []
    for plan in plans:
        folder = runs / plan.recipe.name
        run = train(plan.recipe, data, folder, resume=True, device=device, report=begin(plan), warn=warn)
        if run.step < plan.recipe.steps:
            break  # asked to stop: a row that is not trained to its end is no row
        made.append(score(plan, table, folder, data))
        write_rows(output, made)
    return made


def score(plan: Plan, table: Table, folder: Path, data: Path) -> dict[str, Any]:
    """One row of the CSV: scores, and what made them."""
    model, card = export_onnx(folder / "best.safetensors")
    upscaler = Upscaler(model)
    facts = json.loads((folder / "provenance.json").read_text())
    last = read_entries(folder)[-1]
    row: dict[str, Any] = {
        "network": plan.recipe.name,
        "parameters": card.parameters,
        "macs_per_lr_pixel": card.macs_per_lr_pixel,
    }
    for test in table.sets:
        result, name = evaluate_model(upscaler, data / test, upscaler.scale), Path(test).name
        row |= {f"{name} psnr_y": f"{result.psnr_y:.2f}", f"{name} ssim_y": f"{result.ssim_y:.4f}"}
        row[f"{name} published"] = plan.published.get(name, "")
    trained_on = plan.recipe.data.train
    return row | {
        "training set": trained_on if isinstance(trained_on, str) else " + ".join(trained_on),
        "steps": last.step,
        "hours": f"{last.seconds / 3600:.2f}",
        "processor": facts["processor"],
        "device": facts["device"],
        "processes": facts["processes"],
        "commit": facts["commit"],
    }


def write_rows(output: Path, made: Sequence[dict[str, Any]]) -> None:
    """Put rows into a CSV, in the place of older ones of the same network."""
    old: list[dict[str, Any]] = []
    if output.exists():
        with output.open(newline="") as file:
            old = list(csv.DictReader(file))
    new = {row["network"]: row for row in made}
    rows = [new.pop(row["network"], row) for row in old] + list(new.values())
    columns = list(dict.fromkeys(name for row in rows for name in row))
    output.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with whole_file(output, overwrite=True) as file:
        file.write(text.getvalue().encode())
