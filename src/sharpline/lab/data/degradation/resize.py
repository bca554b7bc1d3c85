"""Steps that change the size."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator

from sharpline.lab.data.degradation.draw import BaseStep, Draw, Range, Size, within
from sharpline.pixels.imresize import Kernel, imresize
from sharpline.pixels.picture import Array

Method = Literal["bicubic", "bilinear", "area", "nearest"]

_KERNELS: dict[Method, Kernel] = {"bicubic": "bicubic", "bilinear": "bilinear", "area": "box"}


def resized(picture: Array, size: Size, method: Method = "bicubic", *, antialias: bool = True) -> Array:
    """Resize by MATLAB's ``imresize``, or take the nearest pixels.

    Args:
        picture: H x W x C.
        size: height and width of the result.
        method: ``area`` is the mean of the pixels whose centres a new pixel covers. ``nearest`` takes the pixel
            at the new pixel's centre, for even factors the one below and right of it: half a pixel off, as any
            choice of one pixel is.
        antialias: widen the kernel of ``bicubic`` and ``bilinear`` when shrinking. Without, details alias.

    Example:
        >>> ramp = np.arange(8, dtype=np.float32).reshape(1, 8, 1)
        >>> [resized(ramp, (1, 2), method).ravel().tolist() for method in ("area", "nearest")]
        [[1.5, 5.5], [2.0, 6.0]]
    """
    if method == "nearest":
        rows, columns = (
            ((np.arange(n) + 0.5) * old / n).astype(int) for n, old in zip(size, picture.shape, strict=False)
        )
        return np.asarray(picture[rows[:, None], columns])
    return imresize(picture, size=size, kernel=_KERNELS[method], antialias=antialias or method == "area")


class _Resizing(BaseStep):
    """What the two steps share.

    Attributes:
        method: see :func:`resized`.
        antialias: see :func:`resized`.
    """

    method: Method = "bicubic"
    antialias: bool = True

    def to(self, size: Size, picture: Array, draw: Draw) -> Array:
        draw.note("method", self.method)
        return resized(picture, size, self.method, antialias=self.antialias)


class Downsample(_Resizing):
    """To the LR picture's size, HR / scale, from whatever size the picture has at this point."""

    kind: Literal["downsample"] = "downsample"

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Resize."""
        return self.to(draw.lr, picture, draw)


class Resize(_Resizing):
    """To a size on the way.

    Attributes:
        factor: new size over that of ``of``.
        of: the HR picture or the LR picture.
    """

    kind: Literal["resize"] = "resize"
    factor: Annotated[Range, AfterValidator(within(0.01, 4))]
    of: Literal["hr", "lr"] = "hr"

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Resize."""
        factor = draw.number("factor", self.factor)
        height, width = (max(1, round(n * factor)) for n in (draw.hr if self.of == "hr" else draw.lr))
        return self.to((height, width), picture, draw)
