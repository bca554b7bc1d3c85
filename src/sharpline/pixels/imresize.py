"""Resizing with MATLAB's ``imresize`` semantics: the field's definition of a low-resolution image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sharpline.errors import UsageError
from sharpline.pixels.picture import Array

Kernel = Literal["bicubic", "lanczos3", "bilinear", "box"]
Float64 = npt.NDArray[np.float64]

# Sums that are exactly half a level in mathematics come out a few 1e-14 below or above it, depending on the
# order in which a BLAS adds. This nudge rounds every such tie up, on every machine.
_TIE = 1e-9
# Multiplications of one product. OpenBLAS wakes its threads for larger ones, which costs more than they save here
# (ten times the run time where other work keeps the cores busy). It also keeps a tile inside the cache.
_TILE_PRODUCTS = 1 << 18


def _bicubic(x: Float64) -> Float64:
    a = np.abs(x)
    near = (1.5 * a - 2.5) * a * a + 1
    far = ((-0.5 * a + 2.5) * a - 4) * a + 2
    return np.where(a <= 1, near, np.where(a <= 2, far, 0.0))


def _lanczos3(x: Float64) -> Float64:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def _bilinear(x: Float64) -> Float64:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _box(x: Float64) -> Float64:
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


_KERNELS: dict[str, tuple[Callable[[Float64], Float64], float]] = {
    "bicubic": (_bicubic, 4.0),
    "lanczos3": (_lanczos3, 6.0),
    "bilinear": (_bilinear, 2.0),
    "box": (_box, 1.0),
}


class _Band(NamedTuple):
    """Rows ``out`` of the resize matrix: dense over the few inputs ``source`` that they read."""

    out: slice
    source: slice
    matrix: Float64  # (len(out), len(source))


def _contributions(
    length: int, out_length: int, scale: float, kernel: str, antialias: bool
) -> tuple[Float64, npt.NDArray[np.intp]]:
    """Weights and source indices (out_length x taps) of MATLAB's ``contributions``, border mirrored."""
    function, width = _KERNELS[kernel]
    shrink = scale if antialias and scale < 1 else 1.0
    width /= shrink
    centre = (np.arange(out_length) + 0.5) / scale - 0.5
    left = np.floor(centre - width / 2)
    indices = (left[:, None] + np.arange(math.ceil(width) + 2)).astype(np.intp)
    weights = function(shrink * (centre[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.mod(indices, 2 * length)
    return weights, np.minimum(mirrored, 2 * length - 1 - mirrored)


def _bands(weights: Float64, indices: npt.NDArray[np.intp], block: int) -> Iterator[_Band]:
    """Cuts the sparse resize matrix into dense blocks of ``block`` outputs: food for a matrix product."""
    for start in range(0, len(weights), block):
        rows, reads = weights[start : start + block], indices[start : start + block]
        low, high = int(reads.min()), int(reads.max()) + 1
        matrix = np.zeros((len(rows), high - low))
        np.add.at(matrix, (np.arange(len(rows))[:, None], reads - low), rows)
        yield _Band(slice(start, start + len(rows)), slice(low, high), matrix)


def _store(target: Array, values: Array) -> None:
    """Writes computed values, rounding half away from zero and saturating where the target holds integers."""
    if target.dtype.kind == "u":
        values += 0.5 + _TIE
        np.clip(values, 0, np.iinfo(target.dtype).max + 0.5, out=values)
    target[...] = values  # a cast to integers truncates: with the half added above, it rounds


def _resize_rows(image: Array, out: Array, bands: Iterator[_Band], work: npt.DTypeLike) -> None:
    source, target = image.reshape(len(image), -1), out.reshape(len(out), -1)
    for band in bands:
        matrix = band.matrix.astype(work)
        step = max(1, _TILE_PRODUCTS // matrix.size)
        for x in range(0, source.shape[1], step):
            tile = source[band.source, x : x + step].astype(work)
            _store(target[band.out, x : x + step], matrix @ tile)


def _resize_columns(image: Array, out: Array, bands: Iterator[_Band], work: npt.DTypeLike) -> None:
    channels = image.shape[2]
    source, target = image.reshape(len(image), -1), out.reshape(len(out), -1)
    for band in bands:
        # Interleaved channels stay where they are: each channel's weights meet zeros of the others.
        matrix = np.kron(band.matrix.T, np.eye(channels)).astype(work)
        step = max(1, _TILE_PRODUCTS // matrix.size)
        reads = slice(band.source.start * channels, band.source.stop * channels)
        writes = slice(band.out.start * channels, band.out.stop * channels)
        for y in range(0, len(source), step):
            tile = source[y : y + step, reads].astype(work)
            _store(target[y : y + step, writes], tile @ matrix)


def _check(image: Array, kernel: str) -> None:
    if kernel not in _KERNELS:
        raise UsageError(f"unknown kernel '{kernel}': use one of {', '.join(_KERNELS)}")
    if image.dtype not in (np.uint8, np.uint16, np.float32, np.float64):
        raise UsageError(f"imresize takes uint8, uint16, float32 or float64 pixels, not {image.dtype}")
    if image.ndim not in (2, 3) or image.size == 0:
        raise UsageError(f"imresize takes an H x W x C image, not an array of shape {image.shape}")


def _out_shape(
    shape: tuple[int, int], scale: float | None, size: tuple[int, int] | None
) -> tuple[tuple[int, int], tuple[float, float]]:
    """The output's (height, width) and the factors (vertical, horizontal), as MATLAB derives them."""
    if (scale is None) == (size is None):
        raise UsageError("imresize needs either scale or size, and not both")
    if size is not None:
        if min(size) < 1:
            raise UsageError(
                f"imresize cannot make a picture of {size[0]} x {size[1]} pixels: give a size of 1 or more"
            )
        return size, (size[0] / shape[0], size[1] / shape[1])
    assert scale is not None
    if not (scale > 0 and math.isfinite(scale)):
        raise UsageError(f"imresize cannot scale by {scale}: give a number above 0")
    height, width = (math.ceil(n * scale - 1e-9) for n in shape)  # 1e-9: n * (1/3) may land just above an integer
    return (height, width), (scale, scale)


def imresize(
    image: Array,
    scale: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    kernel: Kernel = "bicubic",
    antialias: bool = True,
) -> Array:
    """Resizes an image exactly as MATLAB's ``imresize`` does.

    Bit for bit equal to MATLAB for integer images: the dimension with the smaller factor first (rows first
    where they are equal), each 1-D pass rounded (half away from zero) and saturated, borders mirrored, the
    kernel widened by the factor when shrinking. Float images are neither rounded nor clipped, so bicubic may
    leave [0, 1].

    Args:
        image: H x W x C or H x W; uint8, uint16, float32 or float64. Floats have to be finite.
        scale: Factor for both dimensions; the output has ceil(scale * n) pixels along each.
        size: (height, width) of the output instead of ``scale``.
        kernel: ``bicubic`` (Keys, a = -0.5), ``lanczos3``, ``bilinear`` or ``box``.
        antialias: Widen the kernel when shrinking. False samples the picture as it is.

    Returns:
        The resized image: the input's dtype and number of dimensions.

    Raises:
        UsageError: Neither or both of scale and size, one that is not positive, an unknown kernel, a dtype or
            shape that is no image.

    Source: MATLAB Image Processing Toolbox, ``imresize``; R. Keys, "Cubic convolution interpolation for
    digital image processing", IEEE TASSP 1981.

    Example:
        >>> import numpy as np
        >>> from sharpline.pixels.imresize import imresize
        >>> ramp = np.arange(8, dtype=np.uint8).reshape(1, 8, 1) * 10
        >>> imresize(ramp, size=(1, 4)).ravel().tolist()
        [4, 25, 45, 66]
    """
    _check(image, kernel)
    out_shape, factors = _out_shape(image.shape[:2], scale, size)
    if factors == (1.0, 1.0):
        return image.copy()
    # float32 would move one uint8 value in some 50,000 across a rounding threshold: sum integers in float64.
    work = np.float32 if image.dtype == np.float32 else np.float64
    result = np.ascontiguousarray(image.reshape(*image.shape[:2], -1))
    for axis in sorted((0, 1), key=lambda axis: factors[axis]):
        factor, length, out_length = factors[axis], result.shape[axis], out_shape[axis]
        if factor == 1:
            continue
        weights, indices = _contributions(length, out_length, factor, kernel, antialias)
        block = 32 if factor > 1 else max(4, min(16, round(64 * factor)))  # few zeros in the dense blocks
        bands = _bands(weights, indices, block)
        shape = (*result.shape[:axis], out_length, *result.shape[axis + 1 :])
        out = np.empty(shape, image.dtype)
        (_resize_columns if axis else _resize_rows)(result, out, bands, work)
        result = out
    return result.reshape(*out_shape, *image.shape[2:])
