"""Pictures through a file of one static shape: windows that overlap by the halo, as on the board."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharpline.lab.boards.made import Pixels, Runner, Size


def through_windows(
    run: Runner, lr: Pixels, size: Size, halo: int, scale: int, multiple: int = 1
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Upscale a picture window by window.

    A window that touches the picture's border has the border where the picture has it; cuts lie in the middle of
    overlaps, so that every pixel is ``halo`` away from a border that is none.

    Args:
        run: upscales one window.
        lr: uint8 [H, W, C], not smaller than a window.
        size: width and height of a window in LR pixels.
        halo: radius of the receptive field in LR pixels.
        scale: enlargement.
        multiple: of the places where windows begin.

    Returns:
        [H * scale, W * scale, C] of the runner's type, and where within 2 HR pixels of a cut it is.

    Example:
        >>> lr = np.arange(20, dtype=np.uint8).reshape(4, 5, 1)
        >>> sr, cuts = through_windows(lambda part: part.repeat(2, 0).repeat(2, 1), lr, (3, 3), 1, 2)
        >>> bool((sr == lr.repeat(2, 0).repeat(2, 1)).all()), bool(cuts.any())
        (True, True)
    """
    height, width = lr.shape[:2]
    rows, columns = (_starts(length, side, halo, multiple) for length, side in ((height, size[1]), (width, size[0])))
    row_cuts, column_cuts = _cuts(rows, size[1], height), _cuts(columns, size[0], width)
    sr: NDArray[Any] | None = None
    for top, first, last in zip(rows, row_cuts[:-1], row_cuts[1:], strict=True):
        for left, start, stop in zip(columns, column_cuts[:-1], column_cuts[1:], strict=True):
            part = run(np.ascontiguousarray(lr[top : top + size[1], left : left + size[0]]))
            if sr is None:
                sr = np.empty((height * scale, width * scale, lr.shape[2]), part.dtype)
            inner = part[(first - top) * scale : (last - top) * scale, (start - left) * scale : (stop - left) * scale]
            sr[first * scale : last * scale, start * scale : stop * scale] = inner
    assert sr is not None
    at_cuts = np.zeros(sr.shape[:2], bool)
    for cut in row_cuts[1:-1]:
        at_cuts[cut * scale - 2 : cut * scale + 2] = True
    for cut in column_cuts[1:-1]:
        at_cuts[:, cut * scale - 2 : cut * scale + 2] = True
    return sr, at_cuts


def _starts(length: int, side: int, halo: int, multiple: int) -> list[int]:
    """Where windows begin along an axis; the last ends where the picture does."""
    if length < side:
        raise ValueError(f"{length} pixels are fewer than a window of {side}")
    step = side - 2 * halo - (multiple - 1)
    if length > side and step < 1:
        raise ValueError(f"a window of {side} pixels is no larger than two halos of {halo}")
    count = 1 if length == side else 1 + -(-(length - side) // step)
    inner = [round(number * (length - side) / max(1, count - 1)) // multiple * multiple for number in range(count - 1)]
    return [*inner, length - side]


def _cuts(starts: list[int], side: int, length: int) -> list[int]:
    middle = [(before + side + after) // 2 for before, after in pairwise(starts)]
    return [0, *middle, length]
