"""Reads recipes: YAML in, a checked :class:`Recipe` out, errors with the line they are on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sharpline.errors import UsageError
from sharpline.lab.networks.registry import explain, parse
from sharpline.lab.training.recipe import Recipe


def load_recipe(path: Path, changes: list[str] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: YAML file.
        changes: ``key=value`` pairs that replace values, dots for nesting (``data.batch=8``).

    Raises:
        UsageError: no such file, not YAML, unknown key (with the nearest name), wrong type or value (with the line).
    """
    text = _text(path)
    content = _parsed(path, text)
    for change in changes or []:
        _change(content, change)
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


def line_of(text: str, place: tuple[str | int, ...]) -> str:
    r"""``", line N"`` of the deepest part of a dotted place that the YAML text holds, or nothing.

    Example:
        >>> line_of("a: 1\nb:\n  c: x\n", ("b", "c"))
        ', line 3'
    """
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    line = None
    for part in place:
        if isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == part), None)
            if entry is None:
                break
            line, node = entry[0].start_mark.line, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return "" if line is None else f", line {line + 1}"


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not YAML ({error})") from None


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: a recipe is a mapping of keys to values")
    return content


def _change(content: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals:
        raise UsageError(f"--set {change}: write key=value, for example --set data.batch=8")
    *parents, last = key.split(".")
    for parent in parents:
        if content.get(parent) is None:
            content[parent] = {}
        content = content[parent]
        if not isinstance(content, dict):
            raise UsageError(f"--set {change}: {parent} holds a value, not keys")
    content[last] = yaml.safe_load(value)
