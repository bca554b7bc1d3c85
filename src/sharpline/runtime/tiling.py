"""Exact tiling: a picture in overlapping tiles gives the same output as the picture in one piece.

An output pixel depends on the input within the network's receptive field, so a tile carries a halo of that radius
which is thrown away after the run. At the picture's own border a tile has no halo: there the network pads with zeros,
as it does for the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Span:
    """One tile along one axis, in LR pixels: reads ``start`` to ``stop``, keeps ``first`` to ``last``."""

    start: int
    stop: int
    first: int
    last: int


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def spans(length: int, tile: int, halo: int, multiple: int = 1) -> list[Span]:
    """Covers one axis with tiles that all read the same number of pixels.

    Equal tiles let an engine keep its buffers. Where ``multiple`` is above 1 the axis is thought to be padded up to
    the next multiple, and every tile starts and stops at one; the last ``stop`` may then lie beyond ``length``.

    Args:
        length: Pixels of the axis, 1 or more.
        tile: Pixels that a tile contributes at most (a border tile up to ``halo`` more).
        halo: Radius of the receptive field.
        multiple: Alignment of the tiles.

    Returns:
        The tiles in order; what they keep are adjoining intervals from 0 to ``length``.

    Example:
        >>> [(s.start, s.stop, s.first, s.last) for s in spans(90, 40, 5)]
        [(0, 50, 0, 45), (40, 90, 45, 90)]
    """
    padded, margin = _up(length, multiple), _up(halo, multiple)
    inner = padded - 2 * margin  # the border tiles need no halo on their outer side
    count = max(1, -(-inner // _up(max(tile, 1), multiple)))
    if count == 1:
        return [Span(0, padded, 0, length)]
    reach = 2 * margin + _up(-(-inner // count), multiple)
    starts = [(padded - reach) * i // (count - 1) // multiple * multiple for i in range(count)]
    cuts = [0, *((starts[i] + reach + starts[i + 1]) // 2 for i in range(count - 1)), length]
    return [Span(starts[i], starts[i] + reach, cuts[i], cuts[i + 1]) for i in range(count)]


def _cut(image: Array, rows: Span, columns: Span) -> Array:
    """The pixels that a tile reads; beyond the picture the last row and column are repeated."""
    part = image[rows.start : rows.stop, columns.start : columns.stop]
    missing = (rows.stop - rows.start - part.shape[0], columns.stop - columns.start - part.shape[1])
    if not any(missing):
        return part
    return np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")


def upscale_tiled(
    image: Array,
    out: Array,
    upscale: Callable[[Array], Array],
    *,
    tile: int,
    halo: int,
    multiple: int = 1,
    progress: Progress | None = None,
) -> None:
    """Upscales a picture tile by tile into ``out``.

    Args:
        image: LR picture, H x W x C.
        out: Where the result goes, H*s x W*s x C.
        upscale: Upscales one tile, h x w x C to h*s x w*s x C.
        tile: Side of a tile in LR pixels, without halo.
        halo: Radius of the receptive field in LR pixels.
        multiple: Alignment that the network demands of its input's size.
        progress: Called with (tiles done, tiles in total) after each tile.

    Example:
        >>> picture = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
        >>> result = np.empty((6, 8, 1), np.uint8)
        >>> upscale_tiled(picture, result, lambda lr: lr.repeat(2, 0).repeat(2, 1), tile=1, halo=1)
        >>> bool((result == picture.repeat(2, 0).repeat(2, 1)).all())
        True
    """
    height, width = image.shape[:2]
    scale = out.shape[0] // height
    plan = [(r, c) for r in spans(height, tile, halo, multiple) for c in spans(width, tile, halo, multiple)]
    for done, (rows, columns) in enumerate(plan, start=1):
        sr = upscale(_cut(image, rows, columns))
        top, left = (rows.first - rows.start) * scale, (columns.first - columns.start) * scale
        target = out[rows.first * scale : rows.last * scale, columns.first * scale : columns.last * scale]
        target[...] = sr[top : top + target.shape[0], left : left + target.shape[1]]
        if progress is not None:
            progress(done, len(plan))
