"""The range of a tensor of both signs, as :mod:`clipping` finds that of activations after a ReLU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sharpline.lab.compression.quantization.clipping import clipping_ranges
from sharpline.lab.compression.quantization.config import Clipping

_BINS = 2048


def tensor_range(seen: Sequence[NDArray[np.float32]], clipping: Clipping, percentile: float) -> tuple[float, float]:
    """Lowest and highest value that a tensor is quantized between; 0 is always among them.

    Each side is clipped by itself, with the half of the levels that it has to share.

    Args:
        seen: its values, one array a picture.
        clipping: where to cut.
        percentile: of ``clipping: percentile``.

    Example:
        >>> tensor_range([np.array([-2.0, 0.0, 4.0], np.float32)], "minmax", 100)
        (-2.0, 4.0)
    """
    values = np.concatenate([part.ravel() for part in seen])
    both = [_one_side(values * sign, clipping, percentile) for sign in (-1, 1)]
    low, high = -both[0], both[1]
    return (low, high) if high > low else (0.0, 1.0)


def _one_side(values: NDArray[np.float32], clipping: Clipping, percentile: float) -> float:
    largest = max(0.0, float(values.max(initial=0)))
    if largest == 0:
        return 0.0
    counts, _ = np.histogram(np.maximum(values, 0), _BINS, (0, largest))
    return float(clipping_ranges(counts[None], np.array([largest]), 127, clipping, percentile)[0])
