"""Steps that add noise. Its strength is a standard deviation in 8-bit levels: 255 is white."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from sharpline.lab.data.degradation.draw import BaseStep, Draw, Range, within
from sharpline.pixels.picture import Array

Levels = Annotated[Range, AfterValidator(within(0, 255))]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FEWEST = 0.01  # levels; below it, a photon count is beyond what a generator takes and the noise is nothing


def gaussian_noise(picture: Array, sigma: float, random: np.random.Generator, *, grey: bool = False) -> Array:
    """Add Gaussian noise.

    Args:
        picture: float32 H x W x C in [0, 1].
        sigma: standard deviation in levels of 255.
        random: generator.
        grey: one noise for all channels.

    Example:
        >>> noisy = gaussian_noise(np.full((200, 200, 3), 0.5, np.float32), 10, np.random.default_rng(0))
        >>> round(float(noisy.std()) * 255)
        10
    """
    height, width, channels = picture.shape
    noise = random.standard_normal((height, width, 1 if grey else channels), np.float32)
    return np.asarray(picture + noise * np.float32(sigma / 255))


def poisson_noise(picture: Array, sigma: float, random: np.random.Generator, *, grey: bool = False) -> Array:
    """Count photons: shot noise, whose variance grows with the light.

    Args:
        picture: float32 H x W x C in [0, 1].
        sigma: standard deviation at white, in levels of 255; white is then (255 / sigma)^2 photons.
        random: generator.
        grey: the noise of the luma, added to all channels.

    Example:
        >>> noisy = poisson_noise(np.full((200, 200, 3), 0.25, np.float32), 10, np.random.default_rng(0))
        >>> round(float(noisy.std()) * 255)  # half of 10 at a quarter of white
        5
    """
    if sigma < _FEWEST:
        return picture
    photons = (255 / sigma) ** 2
    light = (picture @ _LUMA)[:, :, None] if grey and picture.shape[2] == 3 else picture
    noise = random.poisson(np.clip(light, 0, 1).astype(np.float64) * photons) / photons - light
    return picture + noise.astype(np.float32)


def read_noise(picture: Array, sigma: float, rows: float, random: np.random.Generator) -> Array:
    """Add the noise of a sensor's electronics: of each sample, and of each row as a whole.

    Args:
        picture: float32 H x W x C in [0, 1].
        sigma: standard deviation of each sample, in levels of 255.
        rows: standard deviation of each row, the stripes of cheap CMOS sensors.
        random: generator.

    Source: Wei et al., "A Physics-based Noise Formation Model for Extreme Low-light Raw Denoising", CVPR 2020,
    section 3 (read noise and row noise; here after the camera's processing).

    Example:
        >>> noisy = read_noise(np.full((400, 40, 3), 0.5, np.float32), 0, 5, np.random.default_rng(0))
        >>> float(noisy.std(axis=1).max()) < 1e-6, round(float(noisy[:, 0].std()) * 255)
        (True, 5)
    """
    stripes = random.standard_normal((picture.shape[0], 1, 1), np.float32) * np.float32(rows / 255)
    return np.asarray(gaussian_noise(picture, sigma, random) + stripes)


class GaussianNoise(BaseStep):
    """Gaussian noise.

    Attributes:
        sigma: standard deviation in levels of 255.
        grey: share of the pictures whose noise is the same in all channels (true: all).
    """

    kind: Literal["gaussian-noise"] = "gaussian-noise"
    sigma: Levels
    grey: float = Field(default=0.0, ge=0, le=1)

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Add it."""
        sigma, grey = draw.number("sigma", self.sigma), _grey(draw, self.grey)
        return gaussian_noise(picture, sigma, draw.random, grey=grey)


class PoissonNoise(BaseStep):
    """Shot noise.

    Attributes:
        sigma: standard deviation at white, in levels of 255.
        grey: share of the pictures whose noise is the same in all channels (true: all).
    """

    kind: Literal["poisson-noise"] = "poisson-noise"
    sigma: Levels
    grey: float = Field(default=0.0, ge=0, le=1)

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Add it."""
        sigma, grey = draw.number("sigma", self.sigma), _grey(draw, self.grey)
        return poisson_noise(picture, sigma, draw.random, grey=grey)


class ReadNoise(BaseStep):
    """Read noise.

    Attributes:
        sigma: standard deviation of each sample, in levels of 255.
        rows: standard deviation of each row.
    """

    kind: Literal["read-noise"] = "read-noise"
    sigma: Levels
    rows: Levels = (0.0, 0.0)

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Add it."""
        return read_noise(picture, draw.number("sigma", self.sigma), draw.number("rows", self.rows), draw.random)


def _grey(draw: Draw, share: float) -> bool:
    grey = draw.happens(share)
    draw.note("channels", "grey" if grey else "colour")
    return grey
