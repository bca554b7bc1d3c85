"""Upscales a whole picture: its colours, its alpha, and what else travels with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sharpline.pixels.picture import Picture
from sharpline.runtime.fringe import fill_hidden
from sharpline.runtime.tiling import Progress
from sharpline.runtime.upscaler import Enlarges

Array = npt.NDArray[Any]


def _opaque(shape: tuple[int, int], dtype: np.dtype[Any]) -> Array:
    return np.full(shape, 1 if dtype.kind == "f" else np.iinfo(dtype).max, dtype)


def upscale_picture(upscaler: Enlarges, picture: Picture, *, progress: Progress | None = None) -> Picture:
    """Upscales a picture with its alpha; metadata is carried over.

    Hidden pixels take the colour of their visible neighbours first, so that no fringe appears. Alpha goes through
    the same model as a grey picture: its edges are then as sharp as those of the colours.

    Args:
        upscaler: The upscaler.
        picture: The picture; not changed.
        progress: Called with (steps done, steps in total).

    Returns:
        The picture, ``upscaler.scale`` times as high and as wide.

    Raises:
        ImageError: The pixels cannot be upscaled (see ``Upscaler``).
        ModelError: The model failed.

    Example:
        >>> from sharpline.runtime.upscaler import Upscaler
        >>> picture = Picture(np.zeros((4, 5, 3), np.uint8), alpha=np.full((4, 5), 9, np.uint8))
        >>> upscale_picture(Upscaler("bicubic", scale=2), picture).alpha.shape
        (8, 10)
    """
    if not picture.transparent or picture.alpha is None:
        pixels = upscaler(picture.pixels, progress=progress)
        alpha = None if picture.alpha is None else _opaque(pixels.shape[:2], pixels.dtype)
        return replace(picture, pixels=pixels, alpha=alpha)
    visible = fill_hidden(picture.pixels, picture.alpha)
    first = None if progress is None else lambda done, total: progress(done, 2 * total)
    second = None if progress is None else lambda done, total: progress(total + done, 2 * total)
    pixels = upscaler(visible, progress=first)
    return replace(picture, pixels=pixels, alpha=upscaler(picture.alpha, progress=second))
