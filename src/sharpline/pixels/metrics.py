"""Fidelity metrics: PSNR and the field's SSIM, on any channels or on luma by the field's protocol."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sharpline.errors import UsageError
from sharpline.pixels.colour import luma
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.picture import Array

Float64 = npt.NDArray[np.float64]

PROTOCOL = "Y, BT.601 studio range, uint8-rounded, border = scale, MATLAB bicubic"
"""What ``psnr_y`` and ``ssim_y`` measure; docs/metrics.md has the recipe and the rows that prove it."""

_RADIUS, _SIGMA = 5, 1.5
_STRIP = 32  # rows of the SSIM map that are worked on at once: five float64 maps of them stay near the cache


def _pair(a: Array, b: Array, border: int) -> tuple[Float64, Float64, float]:
    """Both images as float64 without their borders, and the value of white."""
    if a.shape != b.shape or a.ndim != 3:
        raise UsageError(f"cannot compare images of shapes {a.shape} and {b.shape}: give two of one size, H x W x C")
    if a.dtype != b.dtype:
        raise UsageError(f"cannot compare {a.dtype} pixels with {b.dtype}: convert one to the other's depth")
    if border < 0 or min(a.shape[:2]) <= 2 * border:
        raise UsageError(f"a border of {border} pixels leaves nothing of an image of {a.shape[0]} x {a.shape[1]}")
    peak = float(np.iinfo(a.dtype).max) if a.dtype.kind == "u" else 1.0
    inner = slice(border, a.shape[0] - border), slice(border, a.shape[1] - border)
    return a[inner].astype(np.float64), b[inner].astype(np.float64), peak


def psnr(a: Array, b: Array, *, border: int = 0) -> float:
    """Measures the peak signal-to-noise ratio between two images, over all their channels together.

    Args:
        a: H x W x C; uint8, uint16 or float.
        b: The other image, same shape and dtype.
        border: Pixels left out along each edge.

    Returns:
        10 log10(white^2 / mean squared error) in dB, with white 255, 65535 or 1.0; infinity for equal images.

    Raises:
        UsageError: Shapes or dtypes differ, or the border leaves nothing.

    Example:
        >>> import numpy as np
        >>> from sharpline.pixels.metrics import psnr
        >>> black = np.zeros((8, 8, 1), np.uint8)
        >>> round(psnr(black, black + np.uint8(1)), 2)
        48.13
    """
    x, y, peak = _pair(a, b, border)
    x -= y
    error = float(np.mean(np.square(x, out=x)))
    return math.inf if error == 0 else 10 * math.log10(peak * peak / error)


def ssim(a: Array, b: Array, *, border: int = 0) -> float:
    """Measures the structural similarity of two images, averaged over channels: the field's SSIM.

    An 11 x 11 Gaussian window of sigma 1.5, only where it lies wholly inside; K1 = 0.01, K2 = 0.03.

    Args:
        a: H x W x C; uint8, uint16 or float; at least 11 x 11 pixels inside the border.
        b: The other image, same shape and dtype.
        border: Pixels left out along each edge.

    Returns:
        The mean SSIM: 1.0 for equal images.

    Raises:
        UsageError: Shapes or dtypes differ, or fewer than 11 x 11 pixels are left.

    Source: Z. Wang et al., "Image quality assessment: from error visibility to structural similarity",
    IEEE TIP 2004, eq. 13, and the authors' ``ssim_index.m``.

    Example:
        >>> import numpy as np
        >>> from sharpline.pixels.metrics import ssim
        >>> ramp = np.arange(400, dtype=np.uint16).reshape(20, 20, 1)
        >>> ssim(ramp, ramp)
        1.0
    """
    x, y, peak = _pair(a, b, border)
    if min(x.shape[:2]) <= 2 * _RADIUS:
        raise UsageError(f"SSIM needs 11 x 11 pixels, and only {x.shape[0]} x {x.shape[1]} are left: use PSNR")
    window = np.exp(-np.square(np.arange(-_RADIUS, _RADIUS + 1)) / (2 * _SIGMA**2))
    window /= window.sum()
    rows, columns = x.shape[0] - 2 * _RADIUS, x.shape[1] - 2 * _RADIUS
    total = 0.0
    for channel in range(x.shape[2]):
        for start in range(0, rows, _STRIP):
            strip = slice(start, min(start + _STRIP, rows) + 2 * _RADIUS)
            total += _ssim_sum(x[strip, :, channel], y[strip, :, channel], window, peak)
    return total / float(rows * columns * x.shape[2])


def _ssim_sum(x: Float64, y: Float64, window: Float64, peak: float) -> float:
    """Sum of the SSIM map over one strip: the valid region of two H x W planes."""
    mean_x, mean_y, xx, yy, xy = _blur(np.stack((x, y, x * x, y * y, x * y)), window)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    structure = (2 * (xy - product) + c2) / (xx + yy - squares + c2)
    return float(np.sum((2 * product + c1) / (squares + c1) * structure))


def _blur(planes: Float64, window: Float64) -> Float64:
    """Symmetric separable filter over the last two axes of N x H x W, valid region only."""
    for axis in (1, 2):
        taps = [
            planes[:, k : planes.shape[1] - 2 * _RADIUS + k] if axis == 1 else planes[..., k : k - 2 * _RADIUS or None]
            for k in range(2 * _RADIUS + 1)
        ]
        total = taps[_RADIUS] * window[_RADIUS]
        for k in range(_RADIUS):  # the window is symmetric: one product for two taps
            both = taps[k] + taps[2 * _RADIUS - k]
            both *= window[k]
            total += both
        planes = total
    return planes


def psnr_y(sr: Array, hr: Array, scale: int) -> float:
    """Measures PSNR by the field's protocol (``PROTOCOL``): on luma, a border of ``scale`` pixels left out.

    Args:
        sr: The upscaled image, H x W x 3 or H x W x 1 (grey is luma already); uint8, uint16 or float32.
        hr: The true image, same shape. Both are rounded to uint8, whatever their depth.
        scale: Upscaling factor, which is also the border.

    Returns:
        PSNR in dB; infinity for equal images.

    Raises:
        UsageError: Shapes differ, or the border leaves nothing.

    Example:
        >>> import numpy as np
        >>> from sharpline.pixels.metrics import psnr_y
        >>> grey = np.full((16, 16, 1), 100, np.uint8)
        >>> round(psnr_y(grey, grey + np.uint8(2), scale=2), 2)
        42.11
    """
    return psnr(_protocol_luma(sr), _protocol_luma(hr), border=scale)


def ssim_y(sr: Array, hr: Array, scale: int) -> float:
    """Measures SSIM by the field's protocol (``PROTOCOL``): on luma, a border of ``scale`` pixels left out.

    Args:
        sr: The upscaled image, H x W x 3 or H x W x 1 (grey is luma already); uint8, uint16 or float32.
        hr: The true image, same shape. Both are rounded to uint8, whatever their depth.
        scale: Upscaling factor, which is also the border.

    Returns:
        The mean SSIM: 1.0 for equal images.

    Raises:
        UsageError: Shapes differ, or fewer than 11 x 11 pixels are left.

    Example:
        >>> import numpy as np
        >>> from sharpline.pixels.metrics import ssim_y
        >>> grey = np.full((16, 16, 1), 100, np.uint8)
        >>> ssim_y(grey, grey, scale=2)
        1.0
    """
    return ssim(_protocol_luma(sr), _protocol_luma(hr), border=scale)


def _protocol_luma(image: Array) -> Array:
    """Luma rounded to uint8, of RGB rounded to uint8: both roundings belong to the protocol."""
    return luma(convert_depth(image, np.uint8))
