"""What a picture is: upright pixels, alpha apart, and the metadata that travels with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharpline.errors import ImageError

Array = NDArray[Any]

DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


@dataclass(frozen=True)
class Metadata:
    """What a file says about its pixels, apart from the pixels.

    Args:
        icc: ICC profile, as it stands in the file.
        exif: EXIF as a TIFF structure (starts with ``II`` or ``MM``, without the prefix of JPEG).
        xmp: XMP packet, UTF-8 XML.
        dpi: Horizontal and vertical resolution in pixels per inch.

    Example:
        >>> Metadata(dpi=(300.0, 300.0)).icc is None
        True
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Picture:
    """A picture in memory, upright.

    Args:
        pixels: Array H x W x C, C = 1 (grey) or 3 (RGB), uint8, uint16, or float32 in [0, 1].
        alpha: Array H x W of the same dtype (not premultiplied), or None.
        metadata: What is kept from the file.

    Raises:
        ImageError: The arrays do not have these shapes and types.

    Example:
        >>> Picture(np.zeros((2, 3, 1), np.uint8)).size
        (3, 2)
    """

    pixels: Array
    alpha: Array | None = None
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        p = self.pixels
        if p.ndim != 3 or p.shape[2] not in (1, 3) or p.dtype not in DTYPES:
            raise ImageError(
                f"an image is an array H x W x 1 or H x W x 3 of uint8, uint16 or float32, not "
                f"{' x '.join(map(str, p.shape))} of {p.dtype}; alpha goes apart, in Picture(pixels, alpha)"
            )
        if p.size == 0:
            raise ImageError(f"the picture is empty ({p.shape[1]} x {p.shape[0]}); it needs at least one pixel")
        if self.alpha is not None and (self.alpha.shape != p.shape[:2] or self.alpha.dtype != p.dtype):
            found = f"{self.alpha.shape} {self.alpha.dtype}"
            raise ImageError(f"alpha is {found}; it must be {p.shape[:2]} {p.dtype} as the pixels")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def transparent(self) -> bool:
        """True when alpha hides anything: it is there and not everywhere full."""
        if self.alpha is None:
            return False
        full = 1.0 if self.alpha.dtype.kind == "f" else np.iinfo(self.alpha.dtype).max
        return bool(self.alpha.min() < full)


def as_picture(picture_or_array: Picture | Array) -> Picture:
    """Wrap an array as a picture without metadata; a picture is returned as it is.

    Args:
        picture_or_array: A `Picture`, or an array H x W, H x W x 1 or H x W x 3 of uint8, uint16 or float32.

    Returns:
        The picture (the array is not copied).

    Raises:
        ImageError: The array is not an image.

    Example:
        >>> as_picture(np.zeros((2, 3), np.uint8)).pixels.shape
        (2, 3, 1)
    """
    if isinstance(picture_or_array, Picture):
        return picture_or_array
    array = np.asarray(picture_or_array)
    return Picture(array[:, :, None] if array.ndim == 2 else array)
