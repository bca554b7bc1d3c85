"""IMDN: the paper repository's layout, and KAIR's, which the NTIRE challenges took as their baseline."""

from __future__ import annotations

from typing import Any

from sharpline.lab.importing.layout import Layout, Shapes, colour_of, count, kernel, shuffled_scale
from sharpline.lab.networks.imdn import ImdnConfig


def _settings(shapes: Shapes, head: str, tail: str) -> dict[str, Any]:
    channels, colours = kernel(shapes, head)
    colour = colour_of(colours)
    return {"channels": channels, "colour": colour, "scale": shuffled_scale(kernel(shapes, tail)[0], colours)}


def _configure_paper(shapes: Shapes) -> dict[str, Any]:
    blocks = count(shapes, r"IMDB(\d+)\.") - 1  # counted from one
    return {**_settings(shapes, "fea_conv", "upsampler.0"), "blocks": blocks, "form": "paper"}


def _names_paper(config: ImdnConfig) -> dict[str, str]:
    names = {"head": "fea_conv", "join": "c.0", "after": "LR_conv", "tail": "upsampler.0"}
    for i in range(config.blocks):
        mine, theirs = f"body.{i}", f"IMDB{i + 1}"
        names |= {f"{mine}.refine.{k}": f"{theirs}.c{k + 1}" for k in range(3)}
        names |= {f"{mine}.last": f"{theirs}.c4", f"{mine}.fuse": f"{theirs}.c5"}
        names |= {
            f"{mine}.attention.{ours}": f"{theirs}.cca.conv_du.{k}" for ours, k in (("squeeze", 0), ("excite", 2))
        }
    return names


def _configure_kair(shapes: Shapes) -> dict[str, Any]:
    blocks = count(shapes, r"model\.1\.sub\.(\d+)\.") - 1  # the last of them is a convolution
    return {**_settings(shapes, "model.0", "model.2"), "blocks": blocks, "form": "ntire"}


def _names_kair(config: ImdnConfig) -> dict[str, str]:
    names = {"head": "model.0", "after": f"model.1.sub.{config.blocks}", "tail": "model.2"}
    for i in range(config.blocks):
        mine, theirs = f"body.{i}", f"model.1.sub.{i}"
        names |= {f"{mine}.refine.{k}": f"{theirs}.conv{k + 1}.0" for k in range(3)}
        names |= {f"{mine}.last": f"{theirs}.conv4", f"{mine}.fuse": f"{theirs}.conv1x1"}
    return names


IMDN_PAPER = Layout("imdn", "paper repository", ("fea_conv.weight", "IMDB1.c1.weight"), _configure_paper, _names_paper)
IMDN_KAIR = Layout(
    "imdn", "KAIR and NTIRE", ("model.0.weight", "model.1.sub.0.conv1.0.weight"), _configure_kair, _names_kair
)
