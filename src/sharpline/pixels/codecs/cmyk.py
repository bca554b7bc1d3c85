"""Inks to light: CMYK pictures become sRGB."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from sharpline.pixels.depth import row_bands
from sharpline.pixels.metadata import fitting_icc
from sharpline.pixels.picture import Array


def rgb_of_cmyk(image: Image.Image, icc: bytes | None) -> Array:
    """Convert to sRGB through the embedded profile, or by Pillow's plain formula where there is none.

    Args:
        image: Pillow image of mode CMYK, 255 = full ink.
        icc: Embedded profile, used if it is a CMYK profile that can be understood.

    Returns:
        Array H x W x 3 uint8, sRGB.
    """
    transform = _transform(icc)
    out = np.empty((image.height, image.width, 3), np.uint8)
    for rows in row_bands(image.height, image.width * 4):
        band = image.crop((0, rows.start, image.width, rows.stop))
        out[rows] = np.asarray(band.convert("RGB") if transform is None else transform.apply(band))
    return out


def _transform(icc: bytes | None) -> ImageCms.ImageCmsTransform | None:
    profile = fitting_icc(icc, 4)
    if profile is None:
        return None
    try:
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.ImageCmsTransform(source, srgb, "CMYK", "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
