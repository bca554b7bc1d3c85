"""Small pictures to compare layers by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sharpline.lab.data.decoding import cropped, read_rgb
from sharpline.pixels.colour import luma
from sharpline.pixels.imresize import imresize
from sharpline.runtime.evaluation import pictures_in

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]  # LR and HR


def middles(folder: Path, scale: int, count: int, side: int, colour: str = "rgb") -> list[Pair]:
    """The middles of some pictures, spread over a folder.

    Args:
        folder: HR pictures.
        scale: they are shrunk by, with MATLAB's bicubic.
        count: how many at most.
        side: in LR pixels.
        colour: ``rgb``, or ``y`` for networks of luma.

    Returns:
        LR and HR, uint8 [H, W, C] each.

    Raises:
        UsageError: no folder, or no pictures in it.
    """
    paths, pairs = pictures_in(folder), []
    for path in paths[:: -(-len(paths) // count)]:
        hr = cropped(read_rgb(path), scale, path)
        top, left = (max(0, (n - side * scale) // 2) // scale * scale for n in hr.shape[:2])
        hr = np.ascontiguousarray(hr[top : top + side * scale, left : left + side * scale])
        hr = hr if colour == "rgb" else luma(hr)
        pairs.append((imresize(hr, 1 / scale), hr))
    return pairs
