"""Tiles: what each one reads and keeps."""

from typing import List, NamedTuple

import numpy as np

from sharpline.lab.boards.run_parts.folder import Array, RunError


class Span(NamedTuple):
    """One tile along one axis: reads `start` to `stop`, which may lie outside, keeps `first` to `last`."""

    start: int
    stop: int
    first: int
    last: int


def any_size(length: int, tile: int, halo: int, multiple: int) -> List[Span]:
    """Tiles for a network that takes any size (as Sharpline's own, runtime/tiling.py)."""

    def up(value: int) -> int:
        return -(-value // multiple) * multiple

    padded, margin = up(length), up(halo)
    count = max(1, -(-(padded - 2 * margin) // up(tile)))
    if count == 1:
        return [Span(0, padded, 0, length)]
    reach = 2 * margin + up(-(-(padded - 2 * margin) // count))
    starts = [(padded - reach) * i // (count - 1) // multiple * multiple for i in range(count)]
    return joined(starts, reach, length)


def one_size(length: int, tile: int, halo: int) -> List[Span]:
    """Tiles of one size: shifted inwards, or, where the picture is smaller, one to each of its borders."""
    if length == tile:
        return [Span(0, tile, 0, tile)]
    if length < tile:
        return joined([0, length - tile], tile, length)
    inner = tile - 2 * halo
    if inner < 1:
        raise RunError(f"the model's tiles of {tile} pixels are all halo ({halo}); export larger ones (--size)")
    steps = -(-(length - tile) // inner)
    return joined([(length - tile) * i // steps for i in range(steps + 1)], tile, length)


def joined(starts: List[int], reach: int, length: int) -> List[Span]:
    """Cuts in the middle of each overlap."""
    cuts = [0] + [(a + reach + b) // 2 for a, b in zip(starts, starts[1:])] + [length]
    return [Span(start, start + reach, cuts[i], cuts[i + 1]) for i, start in enumerate(starts)]


def cut(image: Array, rows: Span, columns: Span) -> Array:
    """What a tile reads; outside the picture its edge is repeated."""
    height, width = image.shape[:2]
    if rows.start < 0 or columns.start < 0 or rows.stop > height or columns.stop > width:
        y = np.clip(np.arange(rows.start, rows.stop), 0, height - 1)
        return image[y][:, np.clip(np.arange(columns.start, columns.stop), 0, width - 1)]
    return np.ascontiguousarray(image[rows.start : rows.stop, columns.start : columns.stop])
