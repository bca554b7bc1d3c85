"""Recipes: YAML files that say everything about a training, checked strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sharpline.errors import UsageError
from sharpline.lab.networks.registry import explain, parse


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Strict):
    """Where pictures come from. Paths are relative to the data folder (SHARPLINE_DATA)."""

    train: str
    valid: str
    patch: int = Field(default=48, ge=4)
    batch: int = Field(default=16, ge=1)


class Optimiser(_Strict):
    """Adam, or Muon for the kernels (with Adam for biases and the last layer).

    Attributes:
        rate: Adam's learning rate.
        muon_rate: Muon's learning rate.
    """

    kind: Literal["adam", "muon"] = "muon"
    rate: float = Field(default=2e-3, gt=0)
    muon_rate: float = Field(default=0.02, gt=0)


class Schedule(_Strict):
    """Learning-rate factor: linear warm-up, full for a while, then a cosine to 0 at the last step.

    Attributes:
        warmup: steps of warm-up.
        hold: share of all steps before the cosine begins; 0 is the plain cosine schedule.
    """

    warmup: int = Field(default=100, ge=0)
    hold: float = Field(default=0.0, ge=0, lt=1)


class CardText(_Strict):
    """What the model card says that training cannot know."""

    version: str
    description: str
    licence: str
    training_data: str


class Recipe(_Strict):
    """One training, whole. Unknown keys are refused.

    Attributes:
        network: block for :func:`sharpline.lab.networks.build`.
        init: a checkpoint to start from, every tensor of equal name and shape is taken.
        loss: ``l1`` or ``mse`` on RGB (Y networks: on Y).
        luma_weight: weight of the same loss on luma (BT.601), 0 for none.
        ema: decay of the weights' running mean, which is what is validated and kept.
        precision: ``auto`` takes bf16 where the processor multiplies it natively, else fp32.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    network: dict[str, Any]
    data: Data
    steps: int = Field(ge=1)
    init: str | None = None
    loss: Literal["l1", "mse"] = "l1"
    luma_weight: float = Field(default=0.0, ge=0)
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    ema: float = Field(default=0.999, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    validate_every: int = Field(default=1000, ge=1)
    seed: int = 0
    card: CardText


def load_recipe(path: Path, changes: list[str] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: YAML file.
        changes: ``key=value`` pairs that replace values, dots for nesting (``data.batch=8``).

    Raises:
        UsageError: no such file, not YAML, unknown key (with the nearest name), wrong type or value.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: a recipe is a mapping of keys to values")
    for change in changes or []:
        _change(content, change)
    try:
        recipe = Recipe(**content)
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error, Recipe)}") from None
    parse(recipe.network)
    return recipe


def _change(content: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals:
        raise UsageError(f"--set {change}: write key=value, for example --set data.batch=8")
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise UsageError(f"--set {change}: {parent} holds a value, not keys")
    content[last] = yaml.safe_load(value)
