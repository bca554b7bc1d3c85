"""Shapes of the edge family, trained alike: the table that names them, their trainings, their integers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import onnx
from pydantic import BaseModel, ConfigDict, Field

from sharpline.errors import SharplineError
from sharpline.lab.compression.quantization import QuantizationConfig, calibrate, quantize
from sharpline.lab.compression.quantization.calibration import Pixels
from sharpline.lab.compression.quantization.export import export_int8
from sharpline.lab.training.checkpoint import load_network
from sharpline.lab.training.logbook import read_entries
from sharpline.lab.training.loop import Progress, train
from sharpline.lab.training.recipe import Recipe
from sharpline.lab.training.recipe_file import load_recipe
from sharpline.settings import read_settings

Shape = Annotated[str, Field(pattern=r"^[1-9]\d*x\d+$")]


class Shapes(BaseModel):
    """A table of shapes.

    Attributes:
        recipe: What all are trained by; a file, relative to the table's.
        changes: ``key=value`` that replace values of it.
        shapes: CHANNELSxDEPTH, in the order in which they are trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    changes: list[str] = []
    shapes: list[Shape] = Field(min_length=1)


def recipes_of(table: Path, changes: Sequence[str] = ()) -> list[Recipe]:
    """The recipe of each shape, in order.

    Args:
        table: YAML file.
        changes: ``key=value`` for every recipe, after the table's own.

    Raises:
        UsageError: A file that cannot be read or is wrong.
    """
    shapes = read_settings(table, Shapes)
    found = []
    for shape in shapes.shapes:
        channels, _, depth = shape.partition("x")
        own = [f"name=edge-{shape}", f"network.channels={channels}", f"network.depth={depth}"]
        words = f"card.description=edge, {depth} body layers of {channels} channels, a short training"
        found.append(load_recipe(table.parent / shapes.recipe, [*shapes.changes, *own, words, *changes]))
    return found


def trained(recipe: Recipe, runs: Path) -> bool:
    """Whether a row's training has come to its end."""
    folder = runs / recipe.name
    return (folder / "metrics.csv").exists() and any(entry.step >= recipe.steps for entry in read_entries(folder))


def train_rows(recipes: Sequence[Recipe], data: Path, runs: Path) -> None:
    """Train what is not trained yet, one after the other; a row that was stopped goes on.

    Args:
        recipes: From :func:`recipes_of`.
        data: Data folder.
        runs: Folder of the run folders, and of what was decoded and what the teacher made, in ``cache``.

    Raises:
        SharplineError: A training failed or was asked to stop.
    """
    for recipe in (row for row in recipes if not trained(row, runs)):
        print(f"== {recipe.name}", file=sys.stderr, flush=True)
        run = train(recipe, data, runs / recipe.name, resume=True, report=_tell, warn=_warn)
        if run.step < recipe.steps:
            raise SharplineError(f"{recipe.name}: stopped at step {run.step}; the same command goes on from there")


def integers(recipe: Recipe, pictures: Sequence[Pixels], runs: Path) -> onnx.ModelProto:
    """The INT8 form of a trained row, calibrated as ``sharpline compress`` does it.

    Args:
        recipe: Of the row.
        pictures: To calibrate with, LR.
        runs: As for :func:`train_rows`.

    Raises:
        ModelError: Its checkpoint cannot be read, or an export that is another function.
    """
    net, about = load_network(runs / recipe.name / "best.safetensors")
    return export_int8(quantize(net, QuantizationConfig(), calibrate(net, pictures)), about)[0]


def _tell(progress: Progress) -> None:
    if progress.step % 100 == 0 or progress.step == progress.steps:
        score = "" if progress.psnr_y is None else f", {progress.psnr_y:.3f} dB"
        print(f"step {progress.step}, loss {progress.loss:.4f}{score}", file=sys.stderr, flush=True)


def _warn(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
