"""Tells by the keys whose file it is, and what is nearest where nothing fits."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import SequenceMatcher, get_close_matches

from sharpline.errors import ModelError, UsageError
from sharpline.lab.importing.compact import COMPACT
from sharpline.lab.importing.imdn import IMDN_KAIR, IMDN_PAPER
from sharpline.lab.importing.layout import Layout
from sharpline.lab.importing.rlfn import RLFN_NTIRE, RLFN_PAPER
from sharpline.lab.importing.rrdb import RRDB_BODY, RRDB_NUMBERED, RRDB_TRUNK
from sharpline.lab.importing.vdsr import VDSR
from sharpline.lab.networks.registry import parse

LAYOUTS = (VDSR, IMDN_PAPER, IMDN_KAIR, RLFN_NTIRE, RLFN_PAPER, RRDB_BODY, RRDB_TRUNK, RRDB_NUMBERED, COMPACT)
_COMPARED = 64  # kinds of keys of a file that are looked at


def architectures() -> list[str]:
    """Names that ``--arch`` takes besides ``auto``."""
    return sorted({layout.arch for layout in LAYOUTS})


def recognise(keys: Collection[str], arch: str = "auto") -> Layout:
    """Find the layout of a file.

    Args:
        keys: the names of its tensors.
        arch: the architecture that the user says it is, or ``auto``.

    Raises:
        UsageError: no such architecture.
        ModelError: no layout fits, or one of another architecture does. The message does not name the file.

    Example:
        >>> recognise({"fea_conv.weight", "B1.c1_r.weight"}).arch
        'rlfn'
    """
    if arch not in ("auto", *architectures()):
        near = get_close_matches(arch, architectures(), n=1) or architectures()
        raise UsageError(f"--arch {arch}: not known here; did you mean {' or '.join(near)}?")
    for layout in LAYOUTS:
        if all(mark in keys for mark in layout.marks):
            if arch not in ("auto", layout.arch):
                raise ModelError(f"its keys are those of {layout.arch} ({layout.form}), not of {arch}")
            return layout
    raise ModelError(_nearest(keys, [layout for layout in LAYOUTS if arch in ("auto", layout.arch)]))


def _nearest(keys: Collection[str], candidates: list[Layout]) -> str:
    """The sentence that says which layout is nearest and which keys it has otherwise."""
    kinds = sorted({_kind(key) for key in keys})[:_COMPARED]
    bare = [kind.partition(".")[2] for kind in kinds]  # as if the network stood in a larger module
    nearest = max(candidates, key=lambda layout: max(_likeness(kinds, layout), _likeness(bare, layout)))
    expected = _example_kinds(nearest)
    odd = [key for key in keys if _kind(key) not in expected]
    lacking = [mark for mark in nearest.marks if mark not in keys]
    difference = differing(lacking, odd)
    return f"is of no known layout; the nearest is {nearest.arch} ({nearest.form}), but the file {difference}"


def differing(lacking: Collection[str], odd: Collection[str]) -> str:
    """Words for the first keys that are missing and the first that nobody asked for."""
    parts = [(verb, keys) for verb, keys in (("lacks", lacking), ("has the unknown", odd)) if keys]
    return " and ".join(f"{verb} {_first(keys)}" for verb, keys in parts)


def _first(keys: Collection[str], shown: int = 3) -> str:
    names = ", ".join(key[:80] for key in list(keys)[:shown])
    return f"{names} and {len(keys) - shown} more" if len(keys) > shown else names


def _likeness(kinds: list[str], layout: Layout) -> float:
    """How well, from 0 to 2, the kinds of keys agree with the layout's: each with its best partner, both ways."""
    expected = sorted(_example_kinds(layout))
    return _agreement(kinds, expected) + _agreement(expected, kinds)


def _agreement(some: list[str], others: list[str]) -> float:
    best = (max((SequenceMatcher(None, one, other).ratio() for other in others), default=0.0) for one in some)
    return sum(best) / max(len(some), 1)


def _kind(key: str) -> str:
    """A key with every number as ``#``: layers of one kind look alike."""
    return re.sub(r"\d+", "#", key)


def _example_kinds(layout: Layout) -> set[str]:
    """The kinds of keys of the layout's network in its default configuration."""
    layers = layout.names(parse({"family": layout.arch})).values()
    return {_kind(f"{layer}.{leaf}") for layer in layers for leaf in ("weight", "bias")}
