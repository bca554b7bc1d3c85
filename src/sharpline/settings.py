"""Settings from YAML files, read strictly: what is wrong is said in one line, with the nearest name and the line."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Tag, ValidationError

from sharpline.errors import UsageError

Settings = TypeVar("Settings", bound=BaseModel)
Place = tuple[str | int, ...]


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


class _Loader(yaml.SafeLoader):
    """YAML whose ``on``, ``off``, ``yes``, ``no`` are words, as in YAML 1.2: a sink has a setting called ``on``."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A key that stands twice is a mistake: which one was meant?"""
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1 and key.value != "<<":
                words = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, words, key.start_mark)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def mapping_of(path: Path, text: str) -> dict[str, Any]:
    """The mapping that a YAML text is.

    Args:
        path: its file, for error messages.
        text: YAML.

    Raises:
        UsageError: it is not YAML, or not a mapping.

    Example:
        >>> mapping_of(Path("LINE.yaml"), "on: [each]")
        {'on': ['each']}
    """
    try:
        content = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: it is to be a mapping of keys to values")
    for key in content:
        if not isinstance(key, str):
            raise UsageError(f"{path}: the key {key!r} is no word; put it in quotes if it is meant")
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


def read_settings(path: Path, model: type[Settings]) -> Settings:
    """Reads a YAML file as strict settings.

    Raises:
        UsageError: No such file, not YAML, unknown key (with the nearest name), wrong type or value (with the line).
    """
    text = text_of(path)
    content = mapping_of(path, text)
    try:
        return model(**content)
    except ValidationError as error:
        place, words = blame(error, model)
        raise UsageError(f"{path}{line_of(text, place)}: {words}") from None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One line for the first thing that is wrong in settings, with the nearest name for a typo."""
    return blame(error, model)[1]


def blame(error: ValidationError, model: type[BaseModel]) -> tuple[Place, str]:
    """Where the mistake is and what it is, one line. A misspelt key comes before what is missing because of it.

    Args:
        error: Raised by ``model``.
        model: The settings.
    """
    found = error.errors(include_url=False)
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    place, owner = _resolved(first["loc"], model)
    where = ".".join(map(str, place))
    if first["type"] == "extra_forbidden":
        names = list(owner.model_fields)
        near = get_close_matches(str(place[-1]), names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the settings here are {', '.join(names)}"
        return place, f"unknown key {where!r}: {hint}"
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return place, f"{where}: {_kindless(first['ctx'])}"
    words = first["msg"].removeprefix("Value error, ")
    value = first["input"]
    plain = isinstance(value, str | int | float) and "@" not in str(value)  # an address may have a password in it
    got = f" (got {value!r})" if plain and first["type"] != "missing" else ""
    return place, f"{where}: {words}{got}" if where else words + got


def _kindless(about: Mapping[str, Any]) -> str:
    """Words for a choice that says by no known name what it is."""
    key = about["discriminator"].strip("'")
    if "tag" not in about:
        return f"has no {key!r}, which says what it is"
    names = about["expected_tags"].replace("'", "").split(", ")
    near = get_close_matches(about["tag"], names, n=1) or names
    return f"{key} {about['tag']!r} is not known: did you mean {' or '.join(near)}?"


def _resolved(loc: Place, model: type[BaseModel]) -> tuple[Place, type[BaseModel]]:
    """A place without what pydantic adds to it (the names of kinds and types), and the settings that it is in."""
    kind: Any = model
    owner, place = model, []
    rest = list(loc)
    while rest:
        kind, rest = _chosen(kind, rest)
        if not rest:
            break
        part = rest.pop(0)
        place.append(part)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            owner = kind
            field = kind.model_fields.get(str(part))
            kind = None if field is None else field.annotation
        else:
            inner = get_args(kind)
            kind = inner[-1] if inner else None
    return tuple(place), owner


def _chosen(kind: Any, rest: list[str | int]) -> tuple[Any, list[str | int]]:
    """Goes through ``Annotated`` and unions, whose choice is one part of the place where there is one to make."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in (Union, UnionType):
            options = [option for option in get_args(kind) if option is not type(None)]
            tags = {tag: option for option in options for tag in _tags(option)}
            if len(options) == 1:
                kind = options[0]
            elif rest and rest[0] in tags:
                kind, rest = tags[str(rest[0])], rest[1:]
            else:  # the name of the type that did not fit, or that there is no such kind
                return None, rest if tags else rest[1:]
        else:
            return kind, rest


def _tags(kind: Any) -> list[str]:
    """What a choice of a union is called: by a mark of its own, or by the one value that a field of it may have."""
    marks = [mark.tag for mark in getattr(kind, "__metadata__", ()) if isinstance(mark, Tag)]
    fields = kind.model_fields.values() if isinstance(kind, type) and issubclass(kind, BaseModel) else ()
    return marks + [get_args(f.annotation)[0] for f in fields if get_origin(f.annotation) is Literal]
