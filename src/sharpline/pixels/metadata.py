"""Keep metadata true: upright on reading, of the right size and colour space on writing."""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from sharpline.pixels.exif import clean_exif, correct_exif, dpi_of, orientation_of, with_dpi
from sharpline.pixels.picture import Array, Metadata, Picture

_SPACES = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
_DPI_RANGE = (0.01, 1e6)


def icc_space(icc: bytes | None) -> bytes | None:
    """Colour space of an ICC profile (``b"RGB "``, ``b"GRAY"``, ``b"CMYK"``, ...); None if it is no profile.

    Source: ICC.1:2022, section 7.2 (profile header).
    """
    whole = icc is not None and len(icc) >= 132 and icc[36:40] == b"acsp"
    return icc[16:20] if icc and whole and int.from_bytes(icc[:4], "big") <= len(icc) else None


def fitting_icc(icc: bytes | None, channels: int) -> bytes | None:
    """The profile if it describes pixels of so many channels (1 grey, 3 RGB, 4 CMYK), else None."""
    return icc if icc_space(icc) == _SPACES[channels] else None


def upright(picture: Picture) -> Picture:
    """Turn a picture as its orientation tag asks, and correct its metadata to match.

    Args:
        picture: Pixels as stored in the file, metadata as found in the file.

    Returns:
        The picture upright, Orientation 1 in EXIF and XMP, without EXIF thumbnail, without a profile that
        contradicts its pixels, and with the resolution taken from EXIF where the file itself has none.
    """
    found = picture.metadata
    exif = clean_exif(found.exif)
    orientation = orientation_of(exif) or _xmp_orientation(found.xmp) or 1
    pixels = turned(picture.pixels, orientation)
    alpha = None if picture.alpha is None else turned(picture.alpha, orientation)
    dpi = _sane_dpi(found.dpi) or _sane_dpi(dpi_of(exif))
    if dpi and orientation >= 5:
        dpi = dpi[1], dpi[0]
    icc = fitting_icc(found.icc, pixels.shape[2])
    return Picture(pixels, alpha, _true_for(Metadata(icc, exif, found.xmp, dpi), pixels))


def metadata_to_write(picture: Picture, *, channels: int, has_dpi_field: bool) -> Metadata:
    """The metadata as a file of these pixels must carry it.

    Args:
        picture: The picture to write.
        channels: Channels in the file (a grey picture is RGB in a WebP or AVIF file).
        has_dpi_field: Whether the format has a place of its own for the resolution; else EXIF carries it.

    Returns:
        Metadata with size tags, Orientation and resolution right, and a profile that fits, or none.
    """
    m = picture.metadata
    dpi, exif = _sane_dpi(m.dpi), clean_exif(m.exif)
    if dpi and not has_dpi_field:
        exif = with_dpi(exif, dpi)
    return _true_for(Metadata(fitting_icc(m.icc, channels), exif, m.xmp or None, dpi), picture.pixels)


def _true_for(metadata: Metadata, pixels: Array) -> Metadata:
    size = pixels.shape[1], pixels.shape[0]
    exif = correct_exif(metadata.exif, size, metadata.dpi) if metadata.exif else None
    xmp = correct_xmp(metadata.xmp, size) if metadata.xmp else None
    return dataclasses.replace(metadata, exif=exif, xmp=xmp)


def turned(image: Array, orientation: int) -> Array:
    """Apply an EXIF orientation.

    Args:
        image: Array H x W or H x W x C as stored.
        orientation: 1 to 8 (EXIF 2.32, tag 0x0112).

    Returns:
        The image upright, contiguous; 5 to 8 exchange height and width.

    Example:
        >>> turned(np.array([[1, 2]]), 6).tolist()
        [[1], [2]]
    """
    turns = {
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.swapaxes(0, 1),
        6: image[::-1].swapaxes(0, 1),
        7: image[::-1, ::-1].swapaxes(0, 1),
        8: image[:, ::-1].swapaxes(0, 1),
    }
    return np.ascontiguousarray(turns.get(orientation, image))


def correct_xmp(xmp: bytes, size: tuple[int, int]) -> bytes:
    """Set Orientation to 1 and the size properties to ``size`` where an XMP packet has them.

    Example:
        >>> correct_xmp(b'<d tiff:Orientation="6"><tiff:ImageWidth>9</tiff:ImageWidth></d>', (36, 8))
        b'<d tiff:Orientation="1"><tiff:ImageWidth>36</tiff:ImageWidth></d>'
    """
    width, height = size
    for names, value in (
        (rb"tiff:Orientation", 1),
        (rb"tiff:ImageWidth|exif:PixelXDimension", width),
        (rb"tiff:ImageLength|exif:PixelYDimension", height),
    ):
        xmp = _xmp_property(names).sub(rb"\g<1>%d" % value, xmp)
    return xmp


def _xmp_property(names: bytes) -> re.Pattern[bytes]:
    """Matches the number of a property written as an attribute or as an element."""
    starts = rb"\b(?:%b)\s{0,8}=\s{0,8}[\"']|<(?:%b)(?:\s[^<>]{0,512})?>" % (names, names)
    return re.compile(rb"((?:" + starts + rb")\s{0,64})\d{1,10}")


def _xmp_orientation(xmp: bytes | None) -> int | None:
    found = _xmp_property(b"tiff:Orientation").search(xmp or b"")
    value = int(found.group()[len(found.group(1)) :]) if found else 0
    return value if 1 <= value <= 8 else None


def _sane_dpi(dpi: tuple[float, float] | None) -> tuple[float, float] | None:
    low, high = _DPI_RANGE
    return dpi if dpi and all(low <= d <= high for d in dpi) else None
