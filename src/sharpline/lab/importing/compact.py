"""compact: Real-ESRGAN's SRVGGNetCompact, a list of convolutions and PReLUs by turns."""

from __future__ import annotations

from typing import Any

from sharpline.errors import ModelError
from sharpline.lab.importing.layout import Layout, Shapes, colour_of, count, kernel, shuffled_scale
from sharpline.lab.networks.compact import CompactConfig


def _configure(shapes: Shapes) -> dict[str, Any]:
    last = count(shapes, r"body\.(\d+)\.") - 1
    if not any(f"body.{i}.weight" in shapes for i in range(1, min(last, 200), 2)):
        raise ModelError("has no PReLU slopes (body.1.weight), so its activation cannot be told; only PReLU is known")
    channels, colours = kernel(shapes, "body.0")
    return {
        "channels": channels,
        "depth": last // 2 - 1,
        "colour": colour_of(colours),
        "scale": shuffled_scale(kernel(shapes, f"body.{last}")[0], colours),
    }


def _names(config: CompactConfig) -> dict[str, str]:
    layers = config.depth + 1
    names = {f"convs.{i}": f"body.{2 * i}" for i in range(layers)}
    names |= {f"slopes.{i}": f"body.{2 * i + 1}" for i in range(layers)}
    return names | {"tail": f"body.{2 * layers}"}


COMPACT = Layout("compact", "Real-ESRGAN", ("body.0.weight", "body.2.weight"), _configure, _names)
