"""RRDB: ESRGAN's first layout (numbers in a sequence), its second (``RRDB_trunk``), and Real-ESRGAN's (``body``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from sharpline.errors import ModelError
from sharpline.lab.importing.layout import Layout, Shapes, colour_of, count, kernel, shuffled_scale
from sharpline.lab.networks.rrdb import RrdbConfig


@dataclass(frozen=True)
class _Parts:
    """Names of the parts where each has its own; ``enlarge`` gets a number from one."""

    head: str
    block: str
    dense: str
    after: str
    enlarge: str
    refine: str
    tail: str


_BODY = _Parts("conv_first", "body", "rdb", "conv_body", "conv_up", "conv_hr", "conv_last")
_TRUNK = _Parts("conv_first", "RRDB_trunk", "RDB", "trunk_conv", "upconv", "HRconv", "conv_last")


def _settings(shapes: Shapes, head: str, first: str, tail: str, stages: int) -> dict[str, Any]:
    """What every layout derives in the same way; ``first`` is the first convolution of the first dense block."""
    (channels, inputs), colours = kernel(shapes, head), kernel(shapes, tail)[0]
    colour, fold = colour_of(colours), shuffled_scale(inputs, colours)
    if 2**stages % fold:
        raise ModelError(f"folds {fold} x {fold} pixels before {stages} doublings, which makes no whole scale")
    growth = kernel(shapes, first)[0]
    return {"channels": channels, "growth": growth, "stages": stages, "colour": colour, "scale": 2**stages // fold}


def _configure_named(shapes: Shapes, parts: _Parts) -> dict[str, Any]:
    stages = max(count(shapes, rf"{parts.enlarge}(\d+)\.") - 1, 0)
    first = f"{parts.block}.0.{parts.dense}1.conv1"
    settings = _settings(shapes, parts.head, first, parts.tail, stages)
    return {**settings, "blocks": count(shapes, rf"{parts.block}\.(\d+)\.")}


def _names_named(config: RrdbConfig, parts: _Parts) -> dict[str, str]:
    names = {"head": parts.head, "after": parts.after, "refine": parts.refine, "tail": parts.tail}
    names |= {f"enlarge.{i}": f"{parts.enlarge}{i + 1}" for i in range(config.stages)}
    return names | _dense_names(config, f"{parts.block}.{{}}.{parts.dense}{{}}.conv{{}}")


def _dense_names(config: RrdbConfig, theirs: str) -> dict[str, str]:
    every = ((b, d, c) for b in range(config.blocks) for d in range(3) for c in range(5))
    return {f"body.{b}.dense.{d}.convs.{c}": theirs.format(b, d + 1, c + 1) for b, d, c in every}


def _configure_numbered(shapes: Shapes) -> dict[str, Any]:
    last = count(shapes, r"model\.(\d+)\.") - 1
    stages = (last - 4) // 3  # head, body, then (enlarge, convolve, activate) a stage, refine, activate, tail
    settings = _settings(shapes, "model.0", "model.1.sub.0.RDB1.conv1.0", f"model.{last}", max(stages, 0))
    return {**settings, "blocks": count(shapes, r"model\.1\.sub\.(\d+)\.RDB")}


def _names_numbered(config: RrdbConfig) -> dict[str, str]:
    refine = 3 * config.stages + 2
    names = {"head": "model.0", "after": f"model.1.sub.{config.blocks}"}
    names |= {f"enlarge.{i}": f"model.{3 * i + 3}" for i in range(config.stages)}
    names |= {"refine": f"model.{refine}", "tail": f"model.{refine + 2}"}
    return names | _dense_names(config, "model.1.sub.{}.RDB{}.conv{}.0")


def _named(form: str, parts: _Parts) -> Layout:
    marks = (f"{parts.head}.weight", f"{parts.block}.0.{parts.dense}1.conv1.weight")
    return Layout("rrdb", form, marks, partial(_configure_named, parts=parts), partial(_names_named, parts=parts))


RRDB_BODY = _named("Real-ESRGAN", _BODY)
RRDB_TRUNK = _named("ESRGAN, RRDB_trunk", _TRUNK)
RRDB_NUMBERED = Layout(
    "rrdb",
    "ESRGAN, old",
    ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"),
    _configure_numbered,
    _names_numbered,
)
