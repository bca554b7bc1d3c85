"""TIFF: 8 and 16-bit integers and 32-bit floats, Deflate in strips, with ICC, XMP, EXIF and GPS directories.

Our own few lines, because they write strip by strip (a large picture costs no second copy) and because the
EXIF directory must be in the file; TIFF 6.0, Adobe's TIFF Technical Note 3 and the EXIF 2.32 pointers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from isal import isal_zlib

from sharpline.errors import ImageError
from sharpline.pixels.depth import row_bands
from sharpline.pixels.exif import tags_of
from sharpline.pixels.metadata import metadata_to_write
from sharpline.pixels.picture import Array, Metadata, Picture
from sharpline.pixels.tiff_tags import Entry, long, rational, short, write_directory, write_exif_tags

_DEFLATE, _NO_PREDICTOR, _DIFFERENCES = 8, 1, 2
_STRIP_BYTES = 1 << 20
_UNSIGNED, _FLOAT = 1, 3
_STRAIGHT_ALPHA = 2
_UNDEFINED, _BYTE = 7, 1
_BIGGEST = (1 << 32) - 1


def write_tiff(file: BinaryIO, picture: Picture, quality: int | None = None) -> None:
    """Encode a picture as TIFF in its own depth, lossless. The file must be seekable."""
    channels = picture.pixels.shape[2]
    metadata = metadata_to_write(picture, channels=channels, has_dpi_field=True)
    file.write(b"II*\0" + bytes(4))
    at, offsets, counts, rows = 8, [], [], 1
    for band in _bands(picture):
        data = isal_zlib.compress(_predicted(band), 1)
        rows = max(rows, len(band))
        offsets.append(at)
        counts.append(len(data))
        file.write(data)
        at += len(data)
        if at > _BIGGEST - (64 << 20):
            raise ImageError("the picture is too large for a TIFF file (4 GB); choose png")
    if at % 2:
        file.write(b"\0")
        at += 1
    subs, main = write_exif_tags(tags_of(metadata.exif), at)
    file.write(subs)
    entries = main + _structure(picture, rows, offsets, counts) + _extras(metadata)
    file.write(write_directory(entries, at + len(subs)))
    file.seek(4)
    file.write(struct.pack("<I", at + len(subs)))


def _bands(picture: Picture) -> Iterator[Array]:
    pixels, alpha = picture.pixels, picture.alpha
    for rows in row_bands(pixels.shape[0], pixels[0].nbytes, _STRIP_BYTES):
        band = pixels[rows] if alpha is None else np.concatenate((pixels[rows], alpha[rows, :, None]), axis=2)
        yield band.astype(band.dtype.newbyteorder("<"), copy=False)


def _predicted(band: Array) -> bytes:
    """Each sample minus its left neighbour; floats as they are."""
    if band.dtype.kind == "f":
        return band.tobytes()
    out = band.copy()
    np.subtract(band[:, 1:], band[:, :-1], out=out[:, 1:])
    return out.tobytes()


def _structure(picture: Picture, rows: int, offsets: list[int], counts: list[int]) -> list[Entry]:
    height, width, channels = picture.pixels.shape
    samples = channels + (picture.alpha is not None)
    floats = picture.pixels.dtype.kind == "f"
    entries = [
        long(256, width),
        long(257, height),
        short(258, *[8 * picture.pixels.dtype.itemsize] * samples),
        short(259, _DEFLATE),
        short(262, 2 if channels == 3 else 1),
        long(273, *offsets),
        short(277, samples),
        long(278, rows),
        long(279, *counts),
        short(284, 1),
        short(317, _NO_PREDICTOR if floats else _DIFFERENCES),
        short(339, *[_FLOAT if floats else _UNSIGNED] * samples),
    ]
    return entries if picture.alpha is None else [*entries, short(338, _STRAIGHT_ALPHA)]


def _extras(metadata: Metadata) -> list[Entry]:
    entries = []
    if metadata.dpi:
        entries += [rational(282, metadata.dpi[0]), rational(283, metadata.dpi[1]), short(296, 2)]
    if metadata.xmp:
        entries.append(Entry(700, _BYTE, len(metadata.xmp), metadata.xmp))
    if metadata.icc:
        entries.append(Entry(34675, _UNDEFINED, len(metadata.icc), metadata.icc))
    return entries
