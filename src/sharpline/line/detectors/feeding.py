"""Fits a picture to a detector's input, and boxes back to the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from sharpline.errors import ModelError
from sharpline.line.frame import Array, clear

_GREY = 114  # level of the borders, as the YOLO family was trained with


@dataclass(frozen=True)
class Input:
    """A detector's input tensor.

    Attributes:
        layout: ``NHWC`` or ``NCHW``; the tensor may lack the N.
        rank: 3 or 4.
        channels: 1 or 3.
        height: None where any will do.
        width: None where any will do.
        dtype: uint8 in 0..255, or float16 or float32 in 0..1.
    """

    layout: Literal["NHWC", "NCHW"]
    rank: int
    channels: int
    height: int | None
    width: int | None
    dtype: np.dtype[np.generic]


@dataclass(frozen=True)
class Fit:
    """How a picture lies in an input: enlarged ``ratio`` times, its corner at ``left``, ``top``, in pixels."""

    ratio: float
    left: float
    top: float

    def back(self, boxes: Array, width: int, height: int) -> Array:
        """Boxes of the input as boxes of the picture, cut off at its borders.

        Args:
            boxes: [N, 4], left, top, right, bottom in pixels of the input.
            width: Of the picture.
            height: Of the picture.
        """
        corner = np.array([self.left, self.top] * 2)
        limit = np.array([width, height] * 2, np.float64)
        moved: Array = np.clip((boxes.astype(np.float64) - corner) / self.ratio, 0.0, limit)
        return moved


def input_of(shape: Sequence[object], dtype: np.dtype[np.generic], where: str) -> Input:
    """Reads an input's form from its shape.

    Args:
        shape: Numbers; whatever is no positive number is free.
        dtype: Type of its elements.
        where: Model and input, for error messages.

    Raises:
        ModelError: It is no picture of 1 or 3 channels, or of another type.

    Example:
        >>> input_of([1, 3, 640, "w"], np.dtype(np.float32), "model")
        Input(layout='NCHW', rank=4, channels=3, height=640, width=None, dtype=dtype('float32'))
    """
    sides = [side if isinstance(side, int) and side > 0 else None for side in shape]
    if len(sides) not in (3, 4) or (len(sides) == 4 and sides[0] not in (None, 1)):
        raise ModelError(f"{where}: its shape {list(shape)} is not that of one picture")
    if dtype not in (np.uint8, np.float16, np.float32):
        raise ModelError(f"{where}: takes {dtype}; uint8 and float are what can be given")
    first, middle, last = sides[-3:]
    if last in (1, 3):
        return Input("NHWC", len(sides), last, first, middle, dtype)
    if first in (1, 3):
        return Input("NCHW", len(sides), first, middle, last, dtype)
    raise ModelError(f"{where}: its shape {list(shape)} has no channels (1 or 3) at its end or before its sides")


def letterbox(image: Array, width: int, height: int) -> tuple[Array, Fit]:
    """The picture as large as it fits, in the middle of grey borders. What fits already is not resampled.

    Args:
        image: H x W x 3, uint8.
        width: Of the result.
        height: Of the result.
    """
    ratio = min(width / image.shape[1], height / image.shape[0])
    across = min(width, max(1, round(image.shape[1] * ratio)))
    down = min(height, max(1, round(image.shape[0] * ratio)))
    if (across, down) != (image.shape[1], image.shape[0]):
        image = np.asarray(Image.fromarray(image).resize((across, down), Image.Resampling.BILINEAR))
    left, top = (width - across) // 2, (height - down) // 2
    canvas = np.full((height, width, 3), _GREY, np.uint8)
    canvas[top : top + down, left : left + across] = image
    return canvas, Fit(ratio, left, top)


def fitted(image: Array, wanted: Input, colour: str, multiple: int = 1) -> tuple[Array, Fit]:
    """A picture of the size that an input wants.

    Args:
        image: H x W x C, uint8 or uint16.
        wanted: The input. Where a side is free, the picture keeps its size.
        colour: ``rgb`` or ``bgr``.
        multiple: Free sides become multiples of this; the border is right and below.

    Returns:
        H x W x 3 of uint8, and how the picture lies in it.
    """
    pixels = clear(image)
    height, width = pixels.shape[:2]
    if wanted.height is None and wanted.width is None:
        pad = ((0, -height % multiple), (0, -width % multiple), (0, 0))
        pixels, fit = np.pad(pixels, pad, constant_values=_GREY), Fit(1.0, 0, 0)
    else:
        pixels, fit = letterbox(pixels, wanted.width or width, wanted.height or height)
    return (pixels[:, :, ::-1] if colour == "bgr" else pixels), fit


def tensor_of(pixels: Array, wanted: Input) -> Array:
    """Pixels (H x W x 3, uint8) in an input's layout and type."""
    if wanted.channels == 1:
        pixels = np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).convert("L"))[:, :, None]
    if wanted.layout == "NCHW":
        pixels = pixels.transpose(2, 0, 1)
    if wanted.dtype != np.uint8:
        pixels = pixels.astype(wanted.dtype) / wanted.dtype.type(255)
    return np.ascontiguousarray(pixels[None] if wanted.rank == 4 else pixels)
