"""Times, sizes and addresses in a configuration, as people write them: ``500ms``, ``10s``, ``2GB``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator

_TIMES = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZES |= {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_MOST = 1e18  # seconds or bytes: beyond, threads and files lose count
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")


def seconds(value: Any) -> float:
    """A time such as ``500ms``, ``10s``, ``2min`` (or ``2m``), ``1h`` or ``1d``, in seconds. A bare number is refused.

    Raises:
        ValueError: It is not a number with a unit of time, or not above 0.

    Example:
        >>> seconds("500ms"), seconds("5m")
        (0.5, 300.0)
        >>> seconds(10)
        Traceback (most recent call last):
        ValueError: 10 has no unit: write 10s
    """
    return _quantity(value, _TIMES, "s", "a time with its unit: 500ms, 10s, 2min or 1h")


def size(value: Any) -> int:
    """A size such as ``500MB`` (10^6) or ``2GiB`` (2^30), in bytes. A bare number is refused.

    Raises:
        ValueError: It is not a number with a unit of size, or not above 0.

    Example:
        >>> size("2GB"), size("1.5 KiB")
        (2000000000, 1536)
    """
    return int(_quantity(value, _SIZES, "MB", "a size with its unit: 500MB or 2GB"))


def _quantity(value: Any, units: Mapping[str, float], likeliest: str, wanted: str) -> float:
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    match = _NUMBER.fullmatch(text)
    if match is None or (match[2] and match[2] not in units):
        raise ValueError(f"write {wanted}")
    if not match[2]:
        raise ValueError(f"{text} has no unit: write {text}{likeliest}")
    number = float(match[1]) * units[match[2]]
    if not 0 < number < _MOST:
        raise ValueError(f"it has to be above 0 and below 10^18; write {wanted}")
    return number


Seconds = Annotated[float, BeforeValidator(seconds)]
Bytes = Annotated[int, BeforeValidator(size)]


def plain_address(url: str, schemes: tuple[str, ...]) -> str:
    """The address, if it is one of these schemes with a host, and without a password: it is shown in many places.

    Raises:
        ValueError: It is not.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in schemes and bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"it is no address: write it as {schemes[0]}://host:port")
    if parts.username is not None:
        raise ValueError("no name or password in an address: it would be shown; name environment variables instead")
    return url
