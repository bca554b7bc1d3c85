"""Reads recipes: YAML in, a checked :class:`Recipe` out, errors with the line they are on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sharpline.errors import UsageError
from sharpline.lab.networks.registry import parse
from sharpline.lab.training.recipe import Recipe
from sharpline.settings import explain, line_of, mapping_of, text_of


def load_recipe(path: Path, changes: list[str] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: YAML file.
        changes: ``key=value`` pairs that replace values, dots for nesting (``data.batch=8``).

    Raises:
        UsageError: no such file, not YAML, unknown key (with the nearest name), wrong type or value (with the line).
    """
    text = text_of(path)
    content = mapping_of(path, text)
    for change in changes or []:
        changed(content, change)
    try:
        recipe = Recipe(**content)
    except ValidationError as error:
        where = line_of(text, error.errors()[0]["loc"])
        raise UsageError(f"{path}{where}: {explain(error, Recipe)}") from None
    try:
        parse(recipe.network)
    except UsageError as error:
        raise UsageError(f"{path}{line_of(text, ('network',))}: {error}") from None
    return recipe


def changed(content: dict[str, Any], change: str) -> None:
    """Replace a value, in place.

    Args:
        content: of a recipe.
        change: ``key=value``, dots for nesting, in lists the place, from 0; the value is YAML.

    Raises:
        UsageError: not of that form, or a way through something that holds no keys.

    Example:
        >>> content = {"chain": [{"steps": 1}, {"steps": 2}]}
        >>> changed(content, "chain.1.steps=100")
        >>> content["chain"][1]
        {'steps': 100}
    """
    key, equals, value = change.partition("=")
    if not equals:
        raise UsageError(f"--set {change}: write key=value, for example --set data.batch=8")
    try:
        worth = yaml.safe_load(value)
    except yaml.YAMLError:
        raise UsageError(f"--set {change}: {value!r} is no YAML value; quote it, such as '\"{value}\"'") from None
    *parents, last = key.split(".")
    holder: Any = content
    for depth, parent in enumerate(parents, 1):
        place = _place(holder, parent, change)
        if isinstance(holder, dict) and holder.get(place) is None:
            holder[place] = {}
        holder = holder[place]
        if not isinstance(holder, dict | list):
            raise UsageError(f"--set {change}: {'.'.join(parents[:depth])} holds a value, not keys")
    holder[_place(holder, last, change)] = worth


def _place(holder: dict[str, Any] | list[Any], part: str, change: str) -> Any:
    """What a part of a key means: the key itself, or a place in a list."""
    if isinstance(holder, dict):
        return part
    if part.isdecimal() and int(part) < len(holder):
        return int(part)
    raise UsageError(f"--set {change}: {part!r} is no place in a list of {len(holder)}, counted from 0")
