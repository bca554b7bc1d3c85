"""Where activations saturate: four answers to how much of a distribution's tail is worth a coarser step."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sharpline.lab.compression.quantization.config import Clipping

_TRIED = 64  # ranges that ``mse`` compares

Array = NDArray[np.float64]


def clipping_ranges(
    counts: NDArray[np.int64], largest: Array, top: int, clipping: Clipping, percentile: float
) -> Array:
    """The value at which each channel's activations saturate.

    Args:
        counts: histograms [C, bins] of activations after the ReLU, each from 0 to the channel's largest.
        largest: [C].
        top: largest level, 2^bits - 1.
        clipping: the answer that is wanted.
        percentile: of all the channel's activations, zeros too.

    Returns:
        [C], positive where the channel is ever active, else 0.

    Example:
        >>> counts = np.array([[900, 90, 9, 1]])
        >>> clipping_ranges(counts, np.array([8.0]), 255, "percentile", 99.9).tolist()
        [6.0]
    """
    if clipping == "minmax":
        return largest.copy()
    widths = largest / counts.shape[1]
    found = np.zeros(len(largest))
    for place in np.flatnonzero(widths):
        channel, width = counts[place], float(widths[place])
        if clipping == "percentile":
            found[place] = _percentile(channel, width, percentile)
        else:
            found[place] = _mse(channel, width, top) if clipping == "mse" else _aciq(channel, width, top)
    return np.asarray(np.minimum(found, largest))


def _percentile(counts: NDArray[np.int64], width: float, percentile: float) -> float:
    below = np.cumsum(counts) / counts.sum()
    return float(width * (1 + np.searchsorted(below, percentile / 100 - 1e-12)))


def _mse(counts: NDArray[np.int64], width: float, top: int) -> float:
    values = (np.arange(len(counts)) + 0.5) * width
    ranges = width * len(counts) * np.arange(1, _TRIED + 1) / _TRIED
    levels = np.clip(np.rint(values / ranges[:, None] * top), 0, top)
    errors = ((levels * ranges[:, None] / top - values) ** 2 * counts)[:, 1:].sum(1)  # the first bin is zeros
    return float(ranges[np.argmin(errors)])


def _aciq(counts: NDArray[np.int64], width: float, top: int) -> float:
    """Banner et al., "Post-training 4-bit quantization", NeurIPS 2019, equations 5 and 6, for one side.

    With b the mean of what is positive, clipping at a costs b^2 exp(-a/b), rounding a^2 / (24 * 4^bits): their sum is
    smallest where x exp(x) = 12 * 4^bits, x = a/b. The first bin holds the zeros too; without it, what is above is
    distributed as the whole was.
    """
    positive = counts.copy()
    positive[0] = 0
    if not positive.any():
        return width
    b = float((positive * (np.arange(len(counts)) - 0.5) * width).sum() / positive.sum())
    target, x = math.log(12 * (top + 1) ** 2), 1.0
    for _ in range(50):  # x = target - ln x, by Newton
        x -= (x + math.log(x) - target) / (1 + 1 / x)
    return b * x
