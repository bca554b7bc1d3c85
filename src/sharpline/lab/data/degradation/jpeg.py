"""The step that compresses."""

from __future__ import annotations

from io import BytesIO
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import AfterValidator

from sharpline.errors import ImageError
from sharpline.lab.data.degradation.draw import BaseStep, Draw, Range, within
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.names import one_line
from sharpline.pixels.picture import Array

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]


def compressed(picture: Array, quality: int, subsampling: Subsampling = "4:2:0") -> Array:
    """Write as JPEG and read again.

    Args:
        picture: float32 H x W x C in [0, 1].
        quality: 1 to 100, libjpeg's scale.
        subsampling: of the chroma.

    Returns:
        float32 of 8-bit levels, the picture's shape.

    Raises:
        ImageError: larger than a JPEG can be (65,535 pixels a side).

    Example:
        >>> compressed(np.full((9, 5, 3), 0.5, np.float32), 50).shape
        (9, 5, 3)
    """
    pixels = convert_depth(picture, np.uint8)
    file = BytesIO()
    try:
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        image.save(file, "jpeg", quality=quality, subsampling=subsampling)
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be compressed as JPEG ({one_line(error)}); cut it into smaller pictures") from None
    return convert_depth(np.asarray(Image.open(file)).reshape(pixels.shape), np.float32)


class Jpeg(BaseStep):
    """JPEG compression.

    Attributes:
        quality: 1 to 100.
        subsampling: of the chroma.
    """

    kind: Literal["jpeg"] = "jpeg"
    quality: Annotated[Range, AfterValidator(within(1, 100))]
    subsampling: Subsampling = "4:2:0"

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Compress."""
        return compressed(picture, draw.whole("quality", self.quality), self.subsampling)
