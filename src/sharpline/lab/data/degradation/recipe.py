"""Degradation recipes: YAML files of steps, checked strictly, and what they make of a picture."""

from __future__ import annotations

import hashlib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sharpline.errors import ImageError, UsageError
from sharpline.lab.data.degradation.blur import GivenBlur
from sharpline.lab.data.degradation.chain import Step, apply_steps, every
from sharpline.lab.data.degradation.draw import BaseStep, Draw
from sharpline.lab.data.degradation.resize import Downsample
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.imresize import imresize
from sharpline.pixels.picture import Array
from sharpline.settings import explain, mapping_of, text_of

_KINDS: dict[str, type[BaseStep]] = {kind.model_fields["kind"].default: kind for kind in get_args(get_args(Step)[0])}


class Degradation(BaseModel):
    """A degradation recipe, whole. Unknown keys are refused.

    Attributes:
        name: of the recipe.
        description: for people.
        steps: from the HR picture to the LR picture, in order.

    Example:
        >>> recipe = Degradation(name="soft", steps=[{"kind": "defocus", "radius": 2}, {"kind": "downsample"}])
        >>> recipe.steps[0].radius
        (2.0, 2.0)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    description: str = ""
    steps: tuple[Step, ...] = Field(min_length=1)

    def fingerprint(self) -> str:
        """SHA-256 over the steps and the PSF files they read: equal where the results are equal."""
        whole = hashlib.sha256(self.model_dump_json(include={"steps"}).encode())
        for step in every(self.steps):
            if isinstance(step, GivenBlur):
                whole.update(step.file.read_bytes())
        return whole.hexdigest()


BICUBIC = Degradation(name="bicubic", description="MATLAB bicubic, the field's default", steps=(Downsample(),))


class Degraded(NamedTuple):
    """An LR picture and how it came to be.

    Attributes:
        lr: [H / scale, W / scale, C] in the HR picture's depth.
        drawn: one dictionary a step that was applied: its kind, and every number it used.
    """

    lr: Array
    drawn: list[dict[str, float | str]]


def degrade(hr: Array, recipe: Degradation, scale: int, *, seed: int, name: str) -> Degraded:
    """Make the LR version of a picture.

    Steps work on float32; the result is rounded once. MATLAB bicubic alone works on the integers themselves, as
    the field's test sets were made.

    Args:
        hr: [H, W, C], sides multiples of ``scale``; uint8, uint16, or float32 in [0, 1].
        recipe: the degradation.
        scale: HR / LR.
        seed: of the whole set, 0 or more.
        name: of the picture: the same seed and name draw the same numbers.

    Raises:
        UsageError: sides that are no multiples of the scale; a recipe that does not end at the LR size.
        ImageError: a picture that a step cannot take.

    Example:
        >>> hr = np.full((8, 12, 3), 128, np.uint8)
        >>> degrade(hr, BICUBIC, 4, seed=0, name="grey.png").lr.shape
        (2, 3, 3)
    """
    height, width = hr.shape[:2]
    if scale < 1 or height % scale or width % scale or seed < 0:
        raise UsageError(
            f"{width}x{height} pixels, scale {scale}, seed {seed}: give multiples of the scale, and a seed >= 0"
        )
    draw = Draw(seed, name, (height, width), (height // scale, width // scale))
    if recipe.steps == BICUBIC.steps:
        return Degraded(imresize(hr, size=draw.lr), [{"kind": "downsample", "method": "bicubic"}])
    try:
        lr = apply_steps(recipe.steps, convert_depth(hr, np.float32), draw)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    if lr.shape[:2] != draw.lr:
        raise UsageError(
            f"degradation {recipe.name}: ends at {lr.shape[1]}x{lr.shape[0]} pixels where LR has "
            f"{draw.lr[1]}x{draw.lr[0]}; its last change of size has to be a step of kind downsample"
        )
    return Degraded(convert_depth(lr, hr.dtype), draw.drawn)


def load_degradation(path: Path) -> Degradation:
    """Read a degradation recipe.

    Args:
        path: YAML file; PSF files in it are relative to its folder.

    Raises:
        UsageError: no such file, not YAML, unknown kind or key (with the nearest name), wrong type or value.
    """
    content = mapping_of(path, text_of(path))
    try:
        return Degradation.model_validate(content, context={"folder": path.parent})
    except ValidationError as error:
        raise UsageError(f"{path}: {_explain(error)}") from None


def _explain(error: ValidationError) -> str:
    """One line for the first thing that is wrong; a typo before the key that is missing because of it."""
    faults = error.errors()
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "union_tag_invalid":
        kind = _kind(first["input"])
        near = get_close_matches(kind, _KINDS, n=1) or sorted(_KINDS)
        return f"{where}: kind {kind!r} is not known: did you mean {' or '.join(near)}?"
    if first["type"] == "union_tag_not_found":
        return f"{where}: has no kind; it is one of {', '.join(sorted(_KINDS))}"
    if first["type"] == "extra_forbidden":
        model = next((_KINDS[part] for part in reversed(first["loc"]) if part in _KINDS), Degradation)
        near = get_close_matches(str(first["loc"][-1]), model.model_fields, n=1)
        return f"unknown key {where!r}: " + (f"did you mean {near[0]!r}?" if near else "it is not a setting here")
    return explain(error, Degradation)


def _kind(step: Any) -> str:
    return str(step.get("kind") if isinstance(step, dict) else step)
