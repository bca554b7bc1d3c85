"""Steps that blur: convolution with a kernel, the picture mirrored at its borders."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, ValidationInfo, field_validator

from sharpline.errors import ImageError
from sharpline.lab.data.degradation.draw import BaseStep, Draw, Range, within
from sharpline.lab.data.degradation.kernels import (
    Kernel,
    Profile,
    disc_kernel,
    gaussian_kernel,
    motion_kernel,
    read_kernel,
    sinc_kernel,
)
from sharpline.pixels.picture import Array

Sigma = Annotated[Range, AfterValidator(within(0.01, 100))]
Angle = Annotated[Range, AfterValidator(within(-360, 360))]
Side = Annotated[Range, AfterValidator(within(1, 201))]


def blurred(picture: Array, kernel: Kernel) -> Array:
    """Convolve each channel with a kernel.

    Args:
        picture: float32 H x W x C.
        kernel: odd sides, sum 1 (so that a uniform picture stays as it is).

    Returns:
        float32, the picture's shape.

    Example:
        >>> from sharpline.lab.data.degradation.kernels import disc_kernel
        >>> blurred(np.ones((5, 7, 3), np.float32), disc_kernel(2)).shape
        (5, 7, 3)
    """
    from scipy.signal import oaconvolve  # a second to load, and only needed here

    rows, columns = (n // 2 for n in kernel.shape)
    wide = np.pad(picture, ((rows, rows), (columns, columns), (0, 0)), mode="symmetric")
    weights = kernel.astype(np.float32)[:, :, None]
    return np.asarray(oaconvolve(wide, weights, mode="valid", axes=(0, 1)), np.float32)


def _odd(draw: Draw, side: tuple[float, float]) -> int:
    """An odd side from a range of sides."""
    size = 2 * int(draw.random.integers(int(side[0]) // 2, (int(side[1]) - 1) // 2, endpoint=True)) + 1
    draw.note("size", size)
    return size


class _Bell(BaseStep):
    """What the two Gaussian blurs share.

    Attributes:
        profile: shape of the bell, see :func:`gaussian_kernel`.
        beta: exponent of the shapes that are no Gaussian.
        size: side of the kernel, which is made odd; by default as large as the Gaussian needs.
    """

    profile: Profile = "gaussian"
    beta: Annotated[Range, AfterValidator(within(0.1, 10))] = (1.0, 1.0)
    size: Side | None = None

    def kernel(self, sigma_x: float, sigma_y: float, angle: float, draw: Draw) -> Kernel:
        size = None if self.size is None else _odd(draw, self.size)
        if self.profile == "gaussian":
            return gaussian_kernel(sigma_x, sigma_y, angle, size=size)
        draw.note("profile", self.profile)
        beta = draw.number("beta", self.beta)
        return gaussian_kernel(sigma_x, sigma_y, angle, size=size, profile=self.profile, beta=beta)


class GaussianBlur(_Bell):
    """Isotropic Gaussian.

    Attributes:
        sigma: standard deviation in pixels.
    """

    kind: Literal["gaussian-blur"] = "gaussian-blur"
    sigma: Sigma

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Blur."""
        sigma = draw.number("sigma", self.sigma)
        return blurred(picture, self.kernel(sigma, sigma, 0.0, draw))


class AnisotropicBlur(_Bell):
    """Gaussian with two widths and a direction.

    Attributes:
        sigma_x: standard deviation along the direction, in pixels.
        sigma_y: standard deviation across it.
        angle: of the direction, degrees from the horizontal.
    """

    kind: Literal["anisotropic-blur"] = "anisotropic-blur"
    sigma_x: Sigma
    sigma_y: Sigma
    angle: Angle = (0.0, 180.0)

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Blur."""
        widths = draw.number("sigma_x", self.sigma_x), draw.number("sigma_y", self.sigma_y)
        return blurred(picture, self.kernel(*widths, draw.number("angle", self.angle), draw))


class Defocus(BaseStep):
    """A lens out of focus.

    Attributes:
        radius: of the disc in pixels.
    """

    kind: Literal["defocus"] = "defocus"
    radius: Annotated[Range, AfterValidator(within(0, 100))]

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Blur."""
        return blurred(picture, disc_kernel(draw.number("radius", self.radius)))


class MotionBlur(BaseStep):
    """A straight movement during the exposure.

    Attributes:
        length: in pixels.
        angle: degrees from the horizontal.
    """

    kind: Literal["motion-blur"] = "motion-blur"
    length: Annotated[Range, AfterValidator(within(0, 200))]
    angle: Angle = (0.0, 180.0)

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Blur."""
        return blurred(picture, motion_kernel(draw.number("length", self.length), draw.number("angle", self.angle)))


class Sinc(BaseStep):
    """An ideal low-pass filter, which rings.

    Attributes:
        cutoff: in multiples of pi radians a pixel; 1 is the highest frequency that pixels hold.
        size: side of the kernel, which is made odd.
    """

    kind: Literal["sinc"] = "sinc"
    cutoff: Annotated[Range, AfterValidator(within(0.01, 1))]
    size: Side = (21.0, 21.0)

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Filter."""
        cutoff = draw.number("cutoff", self.cutoff)
        return blurred(picture, sinc_kernel(cutoff, _odd(draw, self.size)))


_kernel_of = lru_cache(maxsize=8)(read_kernel)


class GivenBlur(BaseStep):
    """A point spread function that was measured.

    Attributes:
        file: ``.npy`` array or picture; its path is relative to the recipe.
    """

    kind: Literal["psf"] = "psf"
    file: Path

    @field_validator("file")
    @classmethod
    def _beside_the_recipe(cls, file: Path, info: ValidationInfo) -> Path:
        place = (info.context or {}).get("folder", Path()) / file
        try:
            read_kernel(place)
        except ImageError as error:
            raise ValueError(str(error)) from None
        return Path(place)

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Blur."""
        draw.note("file", self.file.name)
        return blurred(picture, _kernel_of(self.file))
