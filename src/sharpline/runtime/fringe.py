"""Gives hidden pixels the colour of their neighbours, so that a cut-out keeps a clean edge when it is enlarged.

What lies under full transparency is arbitrary, black as a rule. A network mixes it into the visible edge as a dark
fringe unless it is replaced first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def _halved(plane: Array) -> Array:
    """Sums of 2 x 2 blocks; an odd side is completed with zeros."""
    height, width = plane.shape[:2]
    even = np.pad(plane, ((0, height % 2), (0, width % 2), (0, 0)))
    sums: Array = even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]
    return sums


def _filled(colour: Array, known: Array) -> Array:
    """Fills where ``known`` (H x W x 1, 0 or 1) is 0 from the picture at half the size, and so on down."""
    if known.all():
        return colour
    height, width = known.shape[:2]
    count = _halved(known)
    mean = _halved(colour * known) / np.maximum(count, 1)
    coarse = _filled(mean, np.minimum(count, 1)).repeat(2, axis=0).repeat(2, axis=1)
    return np.where(known > 0, colour, coarse[:height, :width])


def fill_hidden(pixels: Array, alpha: Array) -> Array:
    """Replaces the colour of fully transparent pixels by that of the nearest visible ones.

    Args:
        pixels: H x W x C; uint8, uint16 or float32.
        alpha: H x W, same dtype; 0 hides a pixel.

    Returns:
        A picture of the same shape and dtype whose visible pixels are unchanged.

    Source: S. Gortler et al., "The Lumigraph", 1996 (pull-push).

    Example:
        >>> red = np.array([[[200, 0, 0], [0, 0, 0]]], np.uint8)
        >>> fill_hidden(red, np.array([[255, 0]], np.uint8)).tolist()
        [[[200, 0, 0], [200, 0, 0]]]
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return pixels
    filled = _filled(pixels.astype(np.float32), (~hidden).astype(np.float32)[:, :, None])
    if pixels.dtype.kind == "u":
        np.rint(filled, out=filled)
    return np.where(hidden[:, :, None], filled.astype(pixels.dtype), pixels)
