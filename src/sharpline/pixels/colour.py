"""RGB to YCbCr and back: BT.601 in studio range, as MATLAB's ``rgb2ycbcr`` and ``ycbcr2rgb`` define it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sharpline.errors import UsageError
from sharpline.pixels.picture import Array

Float64 = npt.NDArray[np.float64]

# 8-bit YCbCr = _TO_YCBCR @ rgb + _OFFSET with rgb in [0, 1]: Y in 16..235, Cb and Cr in 16..240.
_TO_YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]])
_OFFSET = np.array([16.0, 128.0, 128.0])
_TO_RGB = np.linalg.inv(_TO_YCBCR)
_TIE = 1e-9  # rounds mathematical ties up whatever the order of the float additions
_BLOCK = 3000  # pixels of one product: small enough for the cache, and for OpenBLAS not to wake its threads


def _peak(dtype: np.dtype[Any]) -> float:
    """White of a dtype; only the three dtypes that an image may have are known."""
    if dtype in (np.uint8, np.uint16):
        return float(np.iinfo(dtype).max)
    if dtype in (np.float32, np.float64):
        return 1.0
    raise UsageError(f"an image has uint8, uint16 or float32 pixels, not {dtype}")


def _affine(image: Array, matrix: Float64, offset: Float64, dtype: npt.DTypeLike) -> Array:
    """``matrix @ pixel + offset`` for every pixel, rounded and saturated for integer dtypes."""
    if image.ndim != 3 or image.shape[2] != 3:
        raise UsageError(f"a colour conversion takes an H x W x 3 image, not an array of shape {image.shape}")
    pixels = image.reshape(-1, 3)
    out = np.empty((len(pixels), len(matrix)), dtype)
    for start in range(0, len(pixels), _BLOCK):
        values = pixels[start : start + _BLOCK].astype(np.float64) @ matrix.T
        values += offset
        if out.dtype.kind == "u":
            values += 0.5 + _TIE
            np.clip(values, 0, np.iinfo(out.dtype).max + 0.5, out=values)
        out[start : start + _BLOCK] = values
    return out.reshape(*image.shape[:2], -1)


def _from_rgb(image: Array, rows: slice, rounded: bool) -> Array:
    peak = _peak(image.dtype)
    # One 8-bit level is `peak / 255` of the input's own levels (257 for uint16).
    matrix, offset = _TO_YCBCR[rows] / 255, _OFFSET[rows] * (peak / 255)
    return _affine(image, matrix, offset, image.dtype if rounded or peak == 1 else np.float64)


def rgb_to_ycbcr(image: Array, *, rounded: bool = True) -> Array:
    """Converts RGB to YCbCr, BT.601 studio range (Y 16..235, Cb and Cr 16..240 of 255).

    Args:
        image: H x W x 3; uint8, uint16, or float32 in [0, 1].
        rounded: Round to the input's integer type, as MATLAB does. False gives float64 in the same units
            (0..255 for uint8, 0..65535 for uint16). Float images are never rounded.

    Returns:
        H x W x 3: the input's dtype, or float64 for an integer image that is not rounded.

    Raises:
        UsageError: The array is not an RGB image.

    Source: ITU-R BT.601; MATLAB's ``rgb2ycbcr``.

    Example:
        >>> import numpy as np
        >>> from sharpline.pixels.colour import rgb_to_ycbcr
        >>> rgb_to_ycbcr(np.array([[[255, 255, 255], [255, 0, 0]]], np.uint8)).tolist()
        [[[235, 128, 128], [81, 90, 240]]]
    """
    return _from_rgb(image, slice(0, 3), rounded)


def ycbcr_to_rgb(image: Array) -> Array:
    """Converts YCbCr (BT.601 studio range) to RGB, clipped to the dtype's range.

    Args:
        image: H x W x 3; uint8, uint16, or float32 with 1.0 for 255.

    Returns:
        RGB, H x W x 3, of the input's dtype; integers are rounded half up.

    Raises:
        UsageError: The array is not a YCbCr image.

    Source: ITU-R BT.601; MATLAB's ``ycbcr2rgb``.

    Example:
        >>> import numpy as np
        >>> from sharpline.pixels.colour import ycbcr_to_rgb
        >>> ycbcr_to_rgb(np.array([[[235, 128, 128], [81, 90, 240]]], np.uint8)).tolist()
        [[[255, 255, 255], [254, 0, 0]]]
    """
    peak = _peak(image.dtype)
    matrix = _TO_RGB * 255
    rgb = _affine(image, matrix, -(matrix @ _OFFSET) * (peak / 255), image.dtype)
    return np.clip(rgb, 0, 1, out=rgb) if peak == 1 else rgb


def luma(image: Array, *, rounded: bool = True) -> Array:
    """Takes the luma Y (BT.601 studio range) of an RGB image; the values of a grey image are Y already.

    Args:
        image: H x W x 3 or H x W x 1; uint8, uint16, or float32 in [0, 1].
        rounded: Round to the input's integer type. False gives float64 in the same units.

    Returns:
        H x W x 1: the input's dtype, or float64 for an integer image that is not rounded.

    Raises:
        UsageError: The array is not an image.

    Source: ITU-R BT.601; MATLAB's ``rgb2ycbcr``.

    Example:
        >>> import numpy as np
        >>> from sharpline.pixels.colour import luma
        >>> luma(np.array([[[255, 0, 0]]], np.uint8), rounded=False).round(3).tolist()
        [[[81.481]]]
    """
    if image.ndim == 3 and image.shape[2] == 1:
        return image.copy() if rounded or _peak(image.dtype) == 1 else image.astype(np.float64)
    return _from_rgb(image, slice(0, 1), rounded)
