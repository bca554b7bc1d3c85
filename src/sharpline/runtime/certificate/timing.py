"""Times of two models on this machine, taken in turns: machines are noisy, ratios of one run are not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from sharpline.pixels.picture import Array
from sharpline.runtime.upscaler import Upscaler

_WARM_UP, _LEAST = 3, 3  # frames
_LONG = 60.0  # seconds: a network that takes longer for the frames asked for is timed on fewer


def interleaved(upscalers: Sequence[Upscaler], frame: Array, repetitions: int) -> list[list[float]]:
    """Milliseconds of each frame, array to array, the models taking turns.

    Args:
        upscalers: what to time.
        frame: uint8 H x W x C.
        repetitions: frames timed for each, after three that are not; where that takes more than a minute fewer, but
            three.

    Returns:
        A list of times for each of ``upscalers``, equally long.
    """
    times: list[list[float]] = [[] for _ in upscalers]
    enough = time.perf_counter() + _LONG
    for turn in range(-_WARM_UP, repetitions):
        if time.perf_counter() > enough and (turn >= _LEAST or -_WARM_UP < turn < 0):
            continue
        for upscale, taken in zip(upscalers, times, strict=True):
            milliseconds = _milliseconds(lambda call=upscale: call(frame))  # type: ignore[misc]
            if turn >= 0:
                taken.append(milliseconds)
    return times


def percentile(times: Sequence[float], share: float) -> float:
    """The time that ``share`` percent of the frames keep.

    Example:
        >>> percentile([1.0, 2.0, 3.0], 50)
        2.0
    """
    return float(np.percentile(times, share))


def _milliseconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - begin)
