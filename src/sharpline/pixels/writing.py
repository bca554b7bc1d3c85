"""Write a picture to a file: whole or not at all, in the format that its name asks for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sharpline.errors import ImageError, UsageError
from sharpline.pixels.atomic import whole_file
from sharpline.pixels.codecs.jpeg_writing import write_jpeg
from sharpline.pixels.codecs.pillow_formats import write_avif, write_webp
from sharpline.pixels.codecs.png_writing import write_png
from sharpline.pixels.codecs.tiff_writing import write_tiff
from sharpline.pixels.depth import row_bands
from sharpline.pixels.formats import check_writable_format, format_of
from sharpline.pixels.names import one_line, printable
from sharpline.pixels.picture import Array, Picture, as_picture

_WRITERS: dict[str, Callable[[BinaryIO, Picture, int | None], None]] = {
    "png": write_png,
    "jpg": write_jpeg,
    "webp": write_webp,
    "avif": write_avif,
    "tiff": write_tiff,
}
_LOSSY = ("jpg", "webp", "avif")


def write_image(
    path: str | os.PathLike[str],
    picture_or_array: Picture | Array,
    *,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write a picture with its metadata; size tags are corrected to the pixels written.

    Depth: PNG holds 8 or 16 bits (float32 becomes 16), TIFF all three; JPEG, WebP and AVIF hold 8 (deeper
    pixels are rounded to the nearest). Floats outside [0, 1] are clipped where they become integers.

    Args:
        path: The file. It appears only when it is complete.
        picture_or_array: A `Picture`, or an array H x W, H x W x 1 or H x W x 3 of uint8, uint16 or float32.
        format: png, jpg, webp, avif or tiff; by default the suffix of ``path`` decides.
        quality: 1 to 100 for the lossy formats. Default: jpg 95, avif 90, webp lossless.
        overwrite: Replace an existing file.

    Raises:
        ImageError: The picture does not fit the format, the file exists, or the disk or folder does not take
            it. One line, with the path and what to do; no file is left behind.
        UsageError: An unknown format, or a quality that has no meaning.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_image(folder + "/a.png", np.zeros((2, 3), np.uint8))
        ...     os.listdir(folder)
        ['a.png']
    """
    name, final = printable(path), Path(path)
    chosen = format_of(final, format).name
    _check_quality(chosen, quality)
    try:
        picture = as_picture(picture_or_array)
        check_writable_format(chosen, *picture.size, picture.transparent)
        _check_finite(picture)
        if final.exists() and not final.is_file():
            raise ImageError("it is a folder or device; give a file name")
        if overwrite and final.is_symlink():
            final = final.resolve()
        with whole_file(final, overwrite=overwrite) as file:
            _WRITERS[chosen](file, picture, quality)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except MemoryError:
        raise ImageError(f"{name}: not enough memory to encode it; choose png or tiff, which need little") from None
    except OSError as error:
        raise ImageError(f"{name}: {_os_reason(error)}") from None
    except (ValueError, RuntimeError) as error:  # what encoders raise
        raise ImageError(f"{name}: cannot be encoded as {chosen} ({one_line(error)}); choose png") from None


def _check_quality(format: str, quality: int | None) -> None:
    if quality is None:
        return
    if format not in _LOSSY:
        raise UsageError(f"{format} is lossless and has no quality; leave it out, or choose jpg, webp or avif")
    if not 1 <= quality <= 100:
        raise UsageError(f"quality {quality} is out of range; give 1 to 100")


def _check_finite(picture: Picture) -> None:
    for plane in (picture.pixels, picture.alpha):
        if plane is None or plane.dtype.kind != "f":
            continue
        bands = row_bands(plane.shape[0], plane[0].size)
        bad = sum(int(np.count_nonzero(~np.isfinite(plane[rows]))) for rows in bands)
        if bad:
            raise ImageError(f"{bad:,} of {plane.size:,} values are NaN or infinite; nothing is written")


def _os_reason(error: OSError) -> str:
    known = {
        errno.EEXIST: "the file exists; choose another name or pass --overwrite",
        errno.ENOSPC: "the disk is full; make room or choose another folder",
        errno.EDQUOT: "the disk quota is used up; make room or choose another folder",
        errno.EFBIG: "the file is larger than the file system allows; choose another folder",
        errno.EACCES: "permission denied; make the folder writable or choose another",
        errno.EPERM: "permission denied; make the folder writable or choose another",
        errno.EROFS: "the folder is read-only; choose another",
        errno.ENOENT: "its folder does not exist; make it first",
        errno.ENOTDIR: "its folder does not exist; make it first",
        errno.ENAMETOOLONG: "the file name is too long; choose a shorter one",
    }
    return known.get(error.errno or 0, f"cannot be written ({one_line(error)}); check the disk and the folder")
