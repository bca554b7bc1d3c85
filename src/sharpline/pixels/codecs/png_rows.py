"""PNG's rows: filters undone, and Adam7's passes put in their places (ISO/IEC 15948, clauses 8 and 9).

The filters Average and Paeth go from byte to byte, which only compiled code does fast. Pillow has that code, but
keeps no 16 bits a channel; so it is given rows of bytes, and the meaning of the bytes stays with us.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from sharpline.pixels.codecs.inflating import InflatedStream
from sharpline.pixels.depth import row_bands
from sharpline.pixels.picture import Array

_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_LANES: dict[int, np.dtype[Any]] = {
    6: np.dtype(np.uint16),
    8: np.dtype(np.uint32),
}  # of pixels longer than Pillow knows
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # Pillow's modes of so many bytes a pixel
_BAND_BYTES = 1 << 20


@dataclass(frozen=True)
class Rows:
    """Rows of a picture, or of a pass over it.

    Args:
        place: Their rows and columns in the picture.
        width: Pixels a row.
        data: Array n x bytes, uint8, unfiltered.
    """

    place: tuple[slice, slice]
    width: int
    data: Array


def read_rows(stream: InflatedStream, width: int, height: int, bits: int, interlaced: bool) -> Iterator[Rows]:
    """All rows of a picture with ``bits`` bits a pixel, in bands, so that little memory is needed beside them.

    Raises:
        ImageError: There are too few rows.
        ValueError: A row has an unknown filter.
        isal_zlib.error: The stream is damaged.
    """
    for top, left, down, right in _ADAM7 if interlaced else _WHOLE:
        columns, lines = -(-(width - left) // right), -(-(height - top) // down)
        if columns <= 0 or lines <= 0:
            continue
        row_bytes = (columns * bits + 7) // 8
        above = np.zeros(row_bytes, np.uint8)
        for band in row_bands(lines, row_bytes, _BAND_BYTES):
            count = band.stop - band.start
            filtered = np.frombuffer(stream.read(count * (row_bytes + 1)), np.uint8).reshape(count, -1)
            data = unfiltered(filtered, above, max(1, bits // 8))
            above = data[-1]
            place = slice(top + band.start * down, top + band.stop * down, down), slice(left, None, right)
            yield Rows(place, columns, data)
    stream.finish()


def unfiltered(rows: Array, above: Array, step: int) -> Array:
    """Undo the filter of each row.

    Args:
        rows: Array n x (1 + bytes), uint8: filter type and filtered bytes.
        above: Array of bytes, uint8: the row before, unfiltered.
        step: Bytes a pixel, 1 to 4, 6 or 8.

    Returns:
        Array n x bytes, uint8.

    Raises:
        ValueError: A filter type is unknown.

    Example:
        >>> up, left = [2, 1, 1, 1], [1, 5, 1, 1]
        >>> unfiltered(np.array([up, left], np.uint8), np.array([7, 8, 9], np.uint8), 1).tolist()
        [[8, 9, 10], [5, 6, 7]]
    """
    # A filter relates a byte to the same byte of other pixels, so long pixels can be cut in lanes (clause 9.2).
    lane = _LANES.get(step, np.dtype((np.void, step)))
    count = step // lane.itemsize
    framed = np.zeros((len(rows) + 1, 1 + (rows.shape[1] - 1) // count), np.uint8)
    framed[1:, 0] = rows[:, 0]
    out = np.empty((len(rows), rows.shape[1] - 1), np.uint8)
    for k in range(count):
        lanes = framed[:, 1:].view(lane)
        lanes[0] = above.view(lane)[k::count]  # the filter type there is 0: as it is
        lanes[1:] = rows[:, 1:].view(lane)[:, k::count]
        out.view(lane)[:, k::count] = _by_pillow(framed, lane.itemsize)[1:].view(lane)
    return out


def _by_pillow(rows: Array, step: int) -> Array:
    size, mode = ((rows.shape[1] - 1) // step, len(rows)), _MODES[step]
    image = Image.frombytes(mode, size, zlib.compress(rows.data, 0), "zip", mode)
    return np.asarray(image).reshape(len(rows), -1)
