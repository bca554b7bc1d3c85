"""RLFN: the authors' repository, and their entry to NTIRE 2022; both work on values in 0..255."""

from __future__ import annotations

from functools import partial
from typing import Any

from sharpline.lab.importing.layout import Layout, Shapes, colour_of, count, kernel, shuffled_scale
from sharpline.lab.networks.rlfn import RlfnConfig

_ATTENTION = {"squeeze": "conv1", "shortcut": "conv_f", "shrink": "conv2", "look": "conv3", "excite": "conv4"}


def _configure(shapes: Shapes, *, head: str, block: str) -> dict[str, Any]:
    channels, colours = kernel(shapes, head)
    return {
        "channels": channels,
        "inner": kernel(shapes, f"{block}1.c1_r")[0],
        "blocks": count(shapes, rf"{block}(\d+)\.") - 1,  # counted from one
        "attention": kernel(shapes, f"{block}1.esa.conv1")[0],
        "white": 255,
        "colour": colour_of(colours),
        "scale": shuffled_scale(kernel(shapes, "upsampler.0")[0], colours),
    }


def _names(config: RlfnConfig, *, head: str, block: str, after: str) -> dict[str, str]:
    names = {"head": head, "after": after, "tail": "upsampler.0"}
    for i in range(config.blocks):
        mine, theirs = f"body.{i}", f"{block}{i + 1}"
        names |= {f"{mine}.refine.{k}": f"{theirs}.c{k + 1}_r" for k in range(3)}
        names |= {f"{mine}.fuse": f"{theirs}.c5"}
        names |= {f"{mine}.attention.{ours}": f"{theirs}.esa.{name}" for ours, name in _ATTENTION.items()}
    return names


def _layout(form: str, head: str, block: str, after: str) -> Layout:
    marks = (f"{head}.weight", f"{block}1.c1_r.weight")
    configure = partial(_configure, head=head, block=block)
    return Layout("rlfn", form, marks, configure, partial(_names, head=head, block=block, after=after))


RLFN_NTIRE = _layout("NTIRE 2022", "fea_conv", "B", "LR_conv")
RLFN_PAPER = _layout("paper repository", "conv_1", "block_", "conv_2")
