"""The key that says where a source's pictures are from."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

KINDS = ("url", "pipe", "gige", "picamera", "folder", "pattern")


def kinds_of(value: Any) -> list[str]:
    """The kinds that a source names: one, or it is a mistake."""
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
    return [kind for kind in KINDS if kind in keys]


def of_one_kind(value: Any) -> Any:
    """Looks whether a source says once where its pictures are from. A key that nearly does so is a typo.

    Raises:
        ValueError: It does not.

    Example:
        >>> of_one_kind({"name": "cam1", "folder": "in"})
        {'name': 'cam1', 'folder': 'in'}
    """
    if len(kinds_of(value)) == 1:
        return value
    rule = f"a source has exactly one of {', '.join(KINDS)}"
    keys = [str(key) for key in value if key not in KINDS] if isinstance(value, dict) else []
    for key in keys if not kinds_of(value) else ():
        for near in get_close_matches(key, KINDS, n=1):
            raise ValueError(f"unknown key {key!r}: did you mean {near!r}? ({rule})")
    raise ValueError(rule)
