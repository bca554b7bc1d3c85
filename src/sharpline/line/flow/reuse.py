"""Of a camera that looks at the same place, only what has changed is enlarged anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sharpline.runtime.tiling import Span, spans

Array = npt.NDArray[Any]
Tile = tuple[Span, Span]  # rows, columns


class Reuse:
    """Enlarges the pictures of one camera, one after the other; tiles whose input is unchanged are taken over.

    A tile's input is what its pixels depend on: the tile with the network's receptive field around it. It is
    compared with the input that the tile was last made from, not with the picture before, so that slow changes below
    the threshold cannot add up. Without a threshold the result is that of the whole picture enlarged, to the last
    level (engines may add in another order for another size: one level where a value lies on the edge of rounding).

    Args:
        upscale: Enlarges h x w x C to h*scale x w*scale x C.
        scale: Its scale.
        halo: Receptive field in pixels to either side.
        multiple: Alignment that it demands of sizes.
        tile: Side of a tile in pixels, without halo.
        noise: Levels (of the dtype) that a pixel may differ by and still count as unchanged.

    Example:
        >>> reuse = Reuse(lambda lr: lr.repeat(2, 0).repeat(2, 1), scale=2, halo=0, tile=4)
        >>> picture = np.zeros((8, 8, 1), np.uint8)
        >>> _ = reuse(picture)
        >>> changed = picture.copy()
        >>> changed[1, 1] = 9
        >>> sr, reused = reuse(changed)
        >>> reused, int(sr.sum())
        (0.75, 36)
    """

    def __init__(
        self,
        upscale: Callable[[Array], Array],
        *,
        scale: int,
        halo: int,
        multiple: int = 1,
        tile: int = 64,
        noise: int = 0,
    ) -> None:
        self._upscale, self._scale, self._noise = upscale, scale, noise
        self._halo, self._multiple, self._side = halo, multiple, tile
        self._tiles: list[Tile] = []
        self._made_from: list[Array] = []
        self._sr: Array | None = None
        self._kind: object = None

    def __call__(self, lr: Array) -> tuple[Array, float]:
        """Enlarges the next picture.

        Args:
            lr: H x W x C, uint8 or uint16.

        Returns:
            H*scale x W*scale x C, not to be written to, and the share of tiles that were taken over.
        """
        if self._kind != (lr.shape, lr.dtype):
            self._begin(lr)
        if self._sr is None:
            return self._whole(lr)
        changed = [n for n, tile in enumerate(self._tiles) if self._differs(_cut(lr, tile), self._made_from[n])]
        if not changed:
            return self._sr, 1.0
        if len(changed) * self._made_from[0].size >= lr.size:  # with their halos, as much as the picture
            return self._whole(lr)
        sr, self._sr = self._sr.copy(), None  # should it fail, the next picture starts anew
        for n in changed:
            self._renew(sr, lr, n)
        self._sr = sr
        return sr, 1 - len(changed) / len(self._tiles)

    def _begin(self, lr: Array) -> None:
        rows, columns = (spans(side, self._side, self._halo, self._multiple) for side in lr.shape[:2])
        self._tiles = [(r, c) for r in rows for c in columns]
        self._kind, self._sr = (lr.shape, lr.dtype), None

    def _whole(self, lr: Array) -> tuple[Array, float]:
        self._sr = None
        sr = self._upscale(lr)
        self._made_from = [_cut(lr, tile).copy() for tile in self._tiles]
        self._sr = sr
        return sr, 0.0

    def _differs(self, new: Array, old: Array) -> bool:
        if not self._noise:
            return not np.array_equal(new, old)
        return bool((np.maximum(new, old) - np.minimum(new, old)).max() > self._noise)

    def _renew(self, sr: Array, lr: Array, n: int) -> None:
        rows, columns = self._tiles[n]
        part = _cut(lr, (rows, columns))
        made = self._upscale(part)
        s = self._scale
        target = sr[rows.first * s : rows.last * s, columns.first * s : columns.last * s]
        top, left = (rows.first - rows.start) * s, (columns.first - columns.start) * s
        target[...] = made[top : top + target.shape[0], left : left + target.shape[1]]
        self._made_from[n] = part.copy()


def _cut(lr: Array, tile: Tile) -> Array:
    """What a tile reads; beyond the picture its last row and column are repeated."""
    rows, columns = tile
    part = lr[rows.start : rows.stop, columns.start : columns.stop]
    missing = (rows.stop - rows.start - part.shape[0], columns.stop - columns.start - part.shape[1])
    if not any(missing):
        return part
    return np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
