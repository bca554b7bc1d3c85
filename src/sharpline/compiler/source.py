"""A network as C tables for the engine (``engine/engine.c``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharpline.compiler.ordering import sorted_channels
from sharpline.compiler.packing import Block, Part, pack, stride_of
from sharpline.compiler.schedule import Schedule
from sharpline.compiler.targets import Target
from sharpline.runtime.integer import IntegerLayer, IntegerModel


def network_source(model: IntegerModel, target: Target, schedule: Schedule, info: Mapping[str, Any]) -> str:
    """The text of ``network.h``.

    Args:
        model: the network.
        target: the processor.
        schedule: how to go about it.
        info: what ``sharpline_info`` tells.
    """
    if target.sums:
        model = sorted_channels(model)
    lines: list[str] = []
    kernels: dict[str, None] = {}  # as a set that keeps its order
    layers, most_steps, channels, zeros = [], 0, model.colours, model.in_zeros
    borders = sorted({0, *zeros})
    for number, (layer, zero) in enumerate(zip(model.layers, zeros, strict=True)):
        anchor = model.anchor if number == len(model.layers) - 1 else None
        strides = f"{stride_of(channels)}, {stride_of(len(layer.bias))}"
        entries = []
        for block in pack(layer, anchor, model.colours, target, schedule.vectors, zero):
            shape = f"{block.vectors}, {strides}, {int(anchor is not None)}, {_activation(layer)}"
            kernel = "run_" + shape.replace(", ", "_")
            kernels[f"KERNEL({kernel}, {schedule.pixels}, {shape})"] = None
            entries.append(_block(block, f"l{number}b{block.first}", kernel, lines))
            most_steps = max(most_steps, sum(len(part.places) for part in block.parts))
        lines.append(f"static const block l{number}[] = {{{', '.join(entries)}}};")
        border = "EDGE" if layer.border == "edge" else borders.index(zero)
        ends = f"{{{layer.top - layer.zero}, {layer.zero}}}"
        layers.append(f"    {{{layer.weight.shape[2] // 2}, {strides}, {border}, {len(entries)}, {ends}, l{number}}},")
        channels = len(layer.bias)
    constants = {
        "SCALE": model.scale,
        "COLOURS": model.colours,
        "LAYERS": len(model.layers),
        "ANCHORED": int(model.anchor is not None),
        "REACH": model.receptive_field,
        "ROWS": schedule.rows,
        "TILE": schedule.pixels,
        "STEPS": most_steps,
        "BORDERS": len(borders),
        "INFO": json.dumps(json.dumps(info)),  # a JSON text as a C text
    }
    head = [f"#define {name} {value}" for name, value in constants.items()]
    lines.append(_table("uint8_t", "borders", borders))
    return "\n".join([*head, *kernels, *lines, "static const layer layers[] = {", *layers, "};", ""])


def _activation(layer: IntegerLayer) -> str:
    return "TANH" if layer.spread is not None else "PRELU" if layer.is_signed else "RELU"


def _block(block: Block, name: str, kernel: str, lines: list[str]) -> str:
    """Append the tables of a block; returns its entry in the list of blocks."""
    bias = block.bias.astype(np.uint64).astype(np.uint32).view(np.int32)  # modulo 2^32, as accumulators count
    lines.append(_table("int32_t", f"{name}bias", bias))
    for part, values in (("multiplier", block.multiplier), ("second", block.second)):
        lines.append(_table("float", f"{name}{part}", (float(value).hex() for value in values)))
    parts = [_part(part, f"{name}p{number}", lines) for number, part in enumerate(block.parts)]
    return f"{{{kernel}, {block.first}, {name}bias, {name}multiplier, {name}second, {{{', '.join(parts)}}}}}"


def _part(part: Part, name: str, lines: list[str]) -> str:
    lengths = np.array(part.lengths, np.int64)
    used = [
        _values("int32_t", f"{name}places", part.places, lines),
        _values("int32_t", f"{name}lengths", lengths, lines),
        _values("int8_t", f"{name}weights", part.weights, lines),
        _values("int16_t", f"{name}starts", part.starts, lines),
    ]
    return f"{{{len(part.places)}, {len(lengths)}, {', '.join(used)}}}"


def _values(kind: str, name: str, values: NDArray[np.int64], lines: list[str]) -> str:
    """Append a table, unless it would be empty; returns what points to it."""
    if values.size:
        lines.append(_table(kind, name, values.ravel()))
    return name if values.size else "0"


def _table(kind: str, name: str, values: Iterable[Any]) -> str:
    return f"static const {kind} {name}[] ALIGN = {{{','.join(map(str, values))}}};"
