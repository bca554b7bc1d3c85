"""Which compiled variants a processor can run."""

from __future__ import annotations

import difflib
import os
import platform
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

from sharpline.errors import UsageError

TARGET_VARIABLE = "SHARPLINE_TARGET"  # takes one variant only, for tests and benchmarks

# x86-64-v2, -v3 and -v4, beyond what every such processor has.
_V2 = frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"})
_V3 = _V2 | {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"}
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
# What a variant's code may use, by the names of /proc/cpuinfo (which lists only what the kernel lets programs use).
# Of each architecture the fastest comes first.
FEATURES: Mapping[str, frozenset[str]] = {
    "x86-64-avx512vnni": _V4 | {"avx512_vnni"},
    "x86-64-avxvnni": _V3 | {"avx_vnni"},
    "x86-64-avx2": _V3,
    "arm64-dotprod": frozenset({"asimd", "asimddp"}),
    "arm64-neon": frozenset({"asimd"}),
}
_ARCHITECTURES = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "arm64", "arm64": "arm64"}


def architecture(machine: str | None = None) -> str:
    """``x86-64``, ``arm64``, or empty for one that no variant is for.

    Args:
        machine: as ``platform.machine()`` tells it; None asks it.

    Example:
        >>> architecture("aarch64"), architecture("riscv64")
        ('arm64', '')
    """
    return _ARCHITECTURES.get((platform.machine() if machine is None else machine).lower(), "")


def targets_of(architecture: str) -> list[str]:
    """All variants for an architecture, fastest first.

    Example:
        >>> targets_of("arm64")
        ['arm64-dotprod', 'arm64-neon']
    """
    return [target for target in FEATURES if architecture and target.startswith(f"{architecture}-")]


@cache
def processor_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor's first core can do, by the kernel's names; empty where the system does not say."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        return frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def fitting_targets(features: Collection[str] | None = None, machine: str | None = None) -> list[str]:
    """The variants that this processor can run, fastest first; one at most if ``SHARPLINE_TARGET`` names it.

    Args:
        features: of the processor; None looks.
        machine: see :func:`architecture`.

    Raises:
        UsageError: ``SHARPLINE_TARGET`` names no variant.

    Example:
        >>> fitting_targets({"fp", "asimd"}, "aarch64")
        ['arm64-neon']
    """
    present = processor_features() if features is None else frozenset(features)
    only = os.environ.get(TARGET_VARIABLE)
    wanted = [known_target(only)] if only else list(FEATURES)
    return [t for t in targets_of(architecture(machine)) if t in wanted and present >= FEATURES[t]]


def known_target(name: str) -> str:
    """The name of a variant, as it is.

    Raises:
        UsageError: there is none of that name.

    Example:
        >>> known_target("arm64-neno")
        Traceback (most recent call last):
        sharpline.errors.UsageError: unknown target 'arm64-neno': did you mean arm64-neon?
    """
    if name in FEATURES:
        return name
    begun = [target for target in FEATURES if target.startswith(name)]
    nearest = begun or difflib.get_close_matches(name, FEATURES, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}?" if nearest else f"use {', '.join(FEATURES)}"
    raise UsageError(f"unknown target '{name}': {hint}")
