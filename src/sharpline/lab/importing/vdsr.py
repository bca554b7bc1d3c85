"""VDSR as its authors published it: a .mat file with the cells ``model.weight`` and ``model.bias``."""

from __future__ import annotations

from typing import Any

from sharpline.lab.importing.layout import Layout, Shapes, colour_of, count, kernel
from sharpline.lab.networks.vdsr import VdsrConfig


def _configure(shapes: Shapes) -> dict[str, Any]:
    channels, colours = kernel(shapes, "layers.0")
    return {"depth": count(shapes, r"layers\.(\d+)\."), "channels": channels, "colour": colour_of(colours)}


def _names(config: VdsrConfig) -> dict[str, str]:
    return {f"layers.{i}": f"layers.{i}" for i in range(config.depth)}


VDSR = Layout("vdsr", "MatConvNet", ("layers.0.weight", "layers.0.bias"), _configure, _names, any_scale=True)
