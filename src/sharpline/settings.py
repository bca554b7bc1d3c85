"""Settings from YAML files, read strictly: what is wrong is said in one line, with the nearest name and the line."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from sharpline.errors import UsageError


def text_of(path: Path) -> str:
    """The text of a settings file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_text()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not YAML ({error})") from None


def mapping_of(path: Path, text: str) -> dict[str, Any]:
    """The mapping that a YAML text is.

    Args:
        path: its file, for error messages.
        text: YAML.

    Raises:
        UsageError: it is not YAML, or not a mapping.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: it is to be a mapping of keys to values")
    return content


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


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One line for the first thing that is wrong in a configuration, with the nearest name for a typo."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        names = _field_names(model)
        near = get_close_matches(key, names, n=1)
        hint = f"did you mean {names[near[0]]!r}?" if near else "it is not a setting here"
        return f"unknown key {where!r}: {hint}"
    return f"{where}: {first['msg']} (got {first['input']!r})"


def _field_names(model: type[BaseModel], above: str = "") -> dict[str, str]:
    """Every field of a configuration and of the ones inside it, with its dotted place."""
    names: dict[str, str] = {}
    for name, field in model.model_fields.items():
        names.setdefault(name, above + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names = _field_names(field.annotation, f"{above}{name}.") | names
    return names
