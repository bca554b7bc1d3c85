"""What machine a number was measured on, in words."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_VECTORS = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512f", "avx2", "asimddp", "asimd")  # what decides the speed


def machine() -> str:
    """The processor, the cores that this process may use, and its best vector instructions.

    Example:
        >>> "core" in machine()
        True
    """
    facts = _facts()
    flags = set(f"{facts.get('flags', '')} {facts.get('Features', '')}".split())
    best = next((flag for flag in _VECTORS if flag in flags), "")
    count = cores()
    return f"{processor()}, {count} core{'s' if count > 1 else ''}{', ' + best if best else ''}"


def processor() -> str:
    """Name of the processor, as the system tells it."""
    return _facts().get("model name") or platform.processor() or platform.machine()


def cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _facts() -> dict[str, str]:
    """What /proc/cpuinfo says of the first core."""
    facts: dict[str, str] = {}
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return facts
    for line in text.splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    return facts
