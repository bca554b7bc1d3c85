"""From one sample depth to another, in bands of rows so that a large picture needs little extra memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from sharpline.pixels.picture import Array

_BAND_SAMPLES = 1 << 20


def row_bands(height: int, samples_per_row: int, band_samples: int = _BAND_SAMPLES) -> Iterator[slice]:
    """Slices of whole rows that hold about ``band_samples`` samples each.

    Example:
        >>> [(s.start, s.stop) for s in row_bands(5, 10, 20)]
        [(0, 2), (2, 4), (4, 5)]
    """
    step = max(1, band_samples // max(1, samples_per_row))
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))


def convert_depth(image: Array, dtype: DTypeLike) -> Array:
    """Change the depth of an image, each value rounded to the nearest.

    Args:
        image: Array H x W or H x W x C, uint8, uint16, or float32 (values outside [0, 1] are clipped).
        dtype: uint8, uint16 or float32.

    Returns:
        Array of that dtype over its own full range (255, 65535 or 1.0); the input itself where the dtype is
        the same already.

    Example:
        >>> convert_depth(np.array([[0, 128, 129, 65535]], np.uint16), np.uint8).tolist()
        [[0, 0, 1, 255]]
    """
    target = np.dtype(dtype)
    if image.dtype == target:
        return image
    out = np.empty(image.shape, target)
    for rows in row_bands(image.shape[0], image[0].size):
        out[rows] = _convert(image[rows], target)
    return out


def _convert(band: Array, target: np.dtype[Any]) -> Array:
    if target.kind == "f":
        return np.divide(band, np.iinfo(band.dtype).max, dtype=np.float32)
    if band.dtype.kind == "f":
        # float32 has 24 bits: x * 65535 + 0.5 is exact enough for every 16-bit level to come back.
        levels = np.clip(band, 0, 1) * np.float32(np.iinfo(target).max)
        return np.add(levels, np.float32(0.5)).astype(target)
    if target == np.uint16:
        return np.multiply(band, 257, dtype=np.uint16)
    return ((band.astype(np.uint32) + 128) // 257).astype(np.uint8)
