"""Mistakes of exports that have a name, recognised by what undoes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharpline.lab.boards.made import Pixels

_CLEARLY = 6.0  # dB that undoing a mistake has to gain
_DARK = 64  # the brightest value of a picture that is none in 0..1 taken for levels


def diagnosed(sr: NDArray[Any], expected: Pixels, scale: int, accepted: float) -> str | None:
    """What is wrong with an output, in words; None where nothing is, or nothing that has a name.

    Args:
        sr: uint8, or float32 levels as the file gives them, [H, W, C].
        expected: uint8, of the same size.
        scale: enlargement.
        accepted: PSNR in dB from which on a picture is not looked at further.

    Example:
        >>> picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
        >>> diagnosed(picture[..., ::-1], picture, 2, 40.0)
        'red and blue are swapped'
    """
    values = sr.astype(np.float64)
    if not np.isfinite(values).all():
        return f"{1 - np.isfinite(values).mean():.1%} of the output is NaN or infinite"
    if expected.min() < expected.max():
        if not values.any():
            return "the output is black"
        if values.min() == values.max():
            return f"the output is one grey of {values.max():g} everywhere"
    outside = float(max(-values.min(), values.max() - 255))
    if outside > 0.5:
        return f"the output leaves 0..255 by up to {outside:.0f} levels: the final clip is missing"
    own = _psnr(values, expected)
    if own >= accepted:
        return None
    undone = [(_psnr(tried, expected), words) for words, tried in _attempts(values, expected, scale)]
    best, words = max(undone)
    return words if best > own + _CLEARLY else None


def _attempts(values: NDArray[Any], expected: Pixels, scale: int) -> list[tuple[str, NDArray[Any]]]:
    """Mistakes, each with the output as it would be without it."""
    tries = []
    if values.shape[2] == 3:
        tries.append(("red and blue are swapped", values[..., ::-1]))
    if values.max() <= 1.5 and expected.max() >= _DARK:  # bytes keep one bit of it, so that the way back shows little
        tries.append(("the output is in 0..1, not in 0..255: scaled by 1/255 too often", expected.astype(np.float64)))
    clipped = np.minimum(values * 255, 255)
    tries.append(("the output is off by a factor of 255: scaled by 1/255 too often", clipped))
    if (values > 254.5).mean() > 0.9 > (expected > 254).mean():
        tries.append(
            ("the output is white: the input or the output is not scaled by 1/255", expected.astype(np.float64))
        )
    away = values - expected
    wrapped = expected + (away + 128) % 256 - 128
    if (np.abs(away) > 128).any():
        tries.append(("values wrap around at 0 and 255: the final clip is missing", wrapped))
    words = "the pixel shuffle puts the outputs in the wrong order"
    return [*tries, *((words, tried) for tried in _reordered(values, scale))]


def _reordered(values: NDArray[Any], scale: int) -> list[NDArray[Any]]:
    """The picture with the outputs of each block in other orders."""
    height, width, colours = values.shape[0] // scale, values.shape[1] // scale, values.shape[2]
    blocks = values.reshape(height, scale, width, scale, colours).transpose(0, 2, 1, 3, 4)  # row, column, colour
    packed = blocks.reshape(height, width, -1)
    orders = [
        blocks.transpose(0, 1, 3, 2, 4),  # columns for rows
        blocks.transpose(0, 1, 4, 2, 3).reshape(height, width, scale, scale, colours),  # colours came first
        packed.reshape(height, width, colours, scale, scale).transpose(0, 1, 3, 4, 2),  # colours should have come first
    ]
    return [b.transpose(0, 2, 1, 3, 4).reshape(values.shape) for b in orders]


def _psnr(values: NDArray[Any], expected: Pixels) -> float:
    squared = float(((np.clip(values, 0, 255) - expected) ** 2).mean())
    return 99.0 if squared == 0 else min(99.0, 10 * float(np.log10(255**2 / squared)))
