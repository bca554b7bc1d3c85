"""Read a picture file of any kind that we know, or say in one line why not."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import BinaryIO

from sharpline.errors import ImageError
from sharpline.pixels.codecs.jpeg_reading import read_jpeg
from sharpline.pixels.codecs.pillow_formats import read_avif, read_bmp, read_gif, read_webp
from sharpline.pixels.codecs.png_reading import read_png
from sharpline.pixels.codecs.tiff_reading import read_tiff
from sharpline.pixels.formats import READABLE, sniff
from sharpline.pixels.metadata import upright
from sharpline.pixels.names import one_line, printable
from sharpline.pixels.picture import Picture

DEFAULT_MAX_PIXELS = 200_000_000

_READERS: dict[str, Callable[[BinaryIO, int], Picture]] = {
    "png": read_png,
    "jpg": read_jpeg,
    "webp": read_webp,
    "avif": read_avif,
    "tiff": read_tiff,
    "gif": read_gif,
    "bmp": read_bmp,
}
_HEAD = 64


def read_image(path: str | os.PathLike[str], *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Read a picture file, upright, in its own depth, with its metadata.

    The content decides the format, not the suffix. PNG, JPEG, WebP, AVIF, TIFF, GIF and BMP are read; what
    becomes of each kind (palette, 1-bit, CMYK, orientation, ...) is in docs/files.md.

    Args:
        path: A regular file.
        max_pixels: Largest width x height that is accepted; checked in the header, before memory is taken.

    Returns:
        The picture: grey or RGB, uint8, uint16 or float32, alpha apart.

    Raises:
        ImageError: The file cannot be opened, is not a picture, is damaged or cut off, holds several
            pictures, is too large, or is of a kind that is not read. One line, with the path and what to do.

    Example:
        >>> import tempfile, numpy as np
        >>> from sharpline.pixels.writing import write_image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_image(folder + "/a.png", np.zeros((2, 3, 3), np.uint16))
        ...     read_image(folder + "/a.png").pixels.dtype
        dtype('uint16')
    """
    name = printable(path)
    try:
        with _open_regular(path) as file:
            picture = _decode(file, max_pixels)
        return upright(picture)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except MemoryError:
        raise ImageError(f"{name}: not enough memory to decode it; close other programs or shrink it") from None
    except OSError as error:
        raise ImageError(f"{name}: {_os_reason(error)}") from None
    except ValueError as error:  # a null character in the path
        raise ImageError(f"{name}: no such file ({one_line(error)}); check the path") from None


def _decode(file: BinaryIO, max_pixels: int) -> Picture:
    head = file.read(_HEAD)
    file.seek(0)
    if not head:
        raise ImageError("the file is empty; copy or download it again")
    kind = sniff(head)
    if kind is None:
        raise ImageError(f"its content is no picture that is read here; give {READABLE}")
    try:
        return _READERS[kind](file, max_pixels)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders of damaged files raise anything at all
        reason = one_line(error)
        raise ImageError(f"damaged or cut-off {kind.upper()} file ({reason}); copy it again or save it anew") from None


def _open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    # Not blocking, so that a FIFO without a writer does not hang before we see that it is one.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise ImageError("it is a folder; give a picture file")
        if not stat.S_ISREG(mode):
            raise ImageError("it is a device, pipe or socket; give a regular picture file")
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _os_reason(error: OSError) -> str:
    known = {
        errno.ENOENT: "no such file; check the path",
        errno.ENOTDIR: "no such file; check the path",
        errno.EACCES: "permission denied; make it readable (chmod +r)",
        errno.EPERM: "permission denied; make it readable (chmod +r)",
        errno.ENXIO: "it is a device, pipe or socket; give a regular picture file",
        errno.ELOOP: "it is a symbolic link to itself; give a picture file",
        errno.ENAMETOOLONG: "the file name is too long; check the path",
    }
    return known.get(error.errno or 0, f"cannot be read ({one_line(error)}); check the disk and the path")
