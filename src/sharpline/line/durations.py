"""Lengths of time in a configuration: ``500ms``, ``10s``, ``2min``, ``1h``, or plain seconds."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}


def seconds_of(value: Any) -> Any:
    """The seconds that a text means; what is no text is left to the checks that follow.

    Raises:
        ValueError: the text is no length of time.

    Example:
        >>> seconds_of("500ms"), seconds_of("2min"), seconds_of(3)
        (0.5, 120.0, 3)
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", value.strip())
    if not found or found[2] not in _UNITS:
        raise ValueError("a length of time is written like 500ms, 10s, 2min or 1h")
    return float(found[1]) * _UNITS[found[2]]


Seconds = Annotated[float, BeforeValidator(seconds_of), Field(gt=0, allow_inf_nan=False)]
