"""Point spread functions: float64 arrays of odd sides that sum to 1."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import j1

from sharpline.errors import ImageError
from sharpline.pixels.names import one_line
from sharpline.pixels.picture import Array
from sharpline.pixels.reading import read_image

Kernel = NDArray[np.float64]
Profile = Literal["gaussian", "generalised", "plateau"]

_LARGEST = 511  # side of a given PSF


def gaussian_kernel(
    sigma_x: float,
    sigma_y: float,
    angle: float = 0.0,
    *,
    size: int | None = None,
    profile: Profile = "gaussian",
    beta: float = 1.0,
) -> Kernel:
    """A Gaussian, or one of the two bell shapes that Real-ESRGAN adds to it.

    Args:
        sigma_x: standard deviation along the first axis in pixels, above 0.
        sigma_y: standard deviation across it.
        angle: of the first axis, degrees from the horizontal towards the top.
        size: side in pixels, odd; by default the Gaussian's tails end at 3.5 standard deviations.
        profile: ``generalised`` is exp(-q**beta / 2), ``plateau`` 1 / (1 + q**beta), of q = x^2 + y^2 in
            standard deviations.
        beta: their exponent.

    Source: Wang et al., "Real-ESRGAN", ICCVW 2021, section 3.1 and supplement.

    Example:
        >>> gaussian_kernel(0.5, 0.5, size=3).round(3).tolist()
        [[0.011, 0.084, 0.011], [0.084, 0.619, 0.084], [0.011, 0.084, 0.011]]
    """
    radius = math.ceil(3.5 * max(sigma_x, sigma_y)) if size is None else size // 2
    y, x = np.mgrid[radius : -radius - 1 : -1, -radius : radius + 1].astype(np.float64)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    q = ((x * cos + y * sin) / sigma_x) ** 2 + ((y * cos - x * sin) / sigma_y) ** 2
    if profile == "plateau":
        return _normalised(1 / (1 + q**beta))
    return _normalised(np.exp(-0.5 * (q**beta if profile == "generalised" else q)))


def disc_kernel(radius: float) -> Kernel:
    """The disc of a lens out of focus, its edge smoothed over one pixel.

    Args:
        radius: in pixels, 0 or more.

    Example:
        >>> disc_kernel(1).round(3).tolist()
        [[0.026, 0.15, 0.026], [0.15, 0.299, 0.15], [0.026, 0.15, 0.026]]
    """
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _normalised(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def motion_kernel(length: float, angle: float) -> Kernel:
    """The straight line along which a point moves during the exposure.

    Args:
        length: in pixels, 0 or more.
        angle: degrees from the horizontal towards the top.

    Example:
        >>> motion_kernel(2, 0).round(3).tolist()
        [[0.0, 0.0, 0.0], [0.25, 0.5, 0.25], [0.0, 0.0, 0.0]]
    """
    reach = math.ceil(length / 2)
    points = max(1, 16 * reach)
    t = length * ((np.arange(points) + 0.5) / points - 0.5)
    x, y = reach + t * math.cos(math.radians(angle)), reach - t * math.sin(math.radians(angle))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    kernel = np.zeros((2 * reach + 2, 2 * reach + 2))  # one more than the line: each point falls on four pixels
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        np.add.at(kernel, (top + down, left + right), (1 - abs(y - top - down)) * (1 - abs(x - left - right)))
    return _normalised(kernel[:-1, :-1])


def sinc_kernel(cutoff: float, size: int) -> Kernel:
    """A circular ideal low-pass filter cut to a square: it rings, as sharpening and compression do.

    Args:
        cutoff: in multiples of pi radians a pixel, above 0 and up to 1.
        size: side in pixels, odd.

    Source: Wang et al., "Real-ESRGAN", ICCVW 2021, equation 6 (where J is the Bessel function of first order).

    Example:
        >>> sinc_kernel(0.5, 3).round(3).tolist()
        [[0.085, 0.123, 0.085], [0.123, 0.17, 0.123], [0.085, 0.123, 0.085]]
    """
    y, x = np.mgrid[-(size // 2) : size // 2 + 1, -(size // 2) : size // 2 + 1]
    distance = np.hypot(x, y)
    distance[size // 2, size // 2] = 1.0
    kernel = math.pi * cutoff * j1(math.pi * cutoff * distance) / (2 * math.pi * distance)
    kernel[size // 2, size // 2] = math.pi * cutoff**2 / 4
    return _normalised(kernel)


def read_kernel(path: Path) -> Kernel:
    """A measured PSF from a ``.npy`` array (two dimensions) or a picture.

    Even sides get a row or column of zeros at the end, so that there is a centre.

    Raises:
        ImageError: cannot be read, has another shape, is too large, or has no positive sum.
    """
    if path.suffix.lower() == ".npy":
        try:
            weights: Array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ImageError(f"{path}: cannot be read as an array ({one_line(error)}); save it with np.save") from None
    else:
        weights = read_image(path).pixels.astype(np.float64).mean(axis=2)
    if weights.ndim != 2 or weights.dtype.kind not in "uif" or not 0 < max(weights.shape) <= _LARGEST:
        shape = " x ".join(map(str, weights.shape))
        raise ImageError(
            f"{path}: {shape} of {weights.dtype}; a PSF has two dimensions of at most {_LARGEST} real numbers"
        )
    if not np.isfinite(weights).all() or weights.sum() <= 0:
        raise ImageError(f"{path}: a PSF needs finite weights with a sum above 0")
    return _normalised(np.pad(weights.astype(np.float64), [(0, 1 - n % 2) for n in weights.shape]))


def _normalised(kernel: Kernel) -> Kernel:
    return np.asarray(kernel / kernel.sum(), np.float64)
