"""The compressions of TIFF undone: strips or tiles as they stand in the file -> rows of bytes.

Deflate and LZMA by their libraries, which compare checksums; JPEG and WebP as the small files that they are; LZW,
PackBits, Zstandard and CCITT by Pillow's libtiff. Pillow keeps no 16 bits a channel, so it is told that each byte is
a grey pixel: these compressions know nothing of pixels.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import lzma
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, _imaging
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from sharpline.errors import ImageError
from sharpline.pixels.codecs.inflating import InflatedStream
from sharpline.pixels.codecs.jpeg_reading import read_bare_jpeg
from sharpline.pixels.codecs.pillow_formats import webp_size
from sharpline.pixels.tiff_tags import Entry, long, short, write_directory

COMPRESSIONS = {
    1: "none",
    2: "CCITT RLE",
    3: "CCITT group 3",
    4: "CCITT group 4",
    5: "LZW",
    7: "JPEG",
    8: "Deflate",
    32773: "PackBits",
    32946: "Deflate",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
}
JPEG, WEBP = 7, 50001
_CCITT = (2, 3, 4)
OF_PIXELS = (JPEG, WEBP, *_CCITT)  # these know of pixels, and no predictor goes with them
_BY_LIBTIFF = (*_CCITT, 5, 32773, 50000)
_RGB = 2
_BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_LZMA_MEMORY = 1 << 28
CUT = "the TIFF file is cut off or damaged; copy or download it again"

with contextlib.suppress(OSError, AttributeError):  # else libtiff's remarks on damaged files reach stderr
    _libtiff = ctypes.CDLL(_imaging.__file__)
    _libtiff.TIFFSetErrorHandler(None)
    _libtiff.TIFFSetWarningHandler(None)


@dataclass(frozen=True)
class ChunkShape:
    """A strip or tile.

    Args:
        width: Pixels a row.
        height: Rows, of all but the last strip.
        samples: Samples a pixel that stand together.
        bits: Bits a sample.
    """

    width: int
    height: int
    samples: int
    bits: int

    @property
    def row_bytes(self) -> int:
        """Bytes a row when it is not compressed."""
        return (self.width * self.samples * self.bits + 7) // 8


def decompress(page: Any, shape: ChunkShape, chunks: list[bytes], rows: int) -> bytes | bytearray:
    """Decompress strips or tiles that follow one another.

    Args:
        page: tifffile's page, for its tags.
        shape: What each holds.
        chunks: The data of each.
        rows: How many rows all together have; only the last may have fewer than ``shape.height``.

    Returns:
        ``rows * shape.row_bytes`` bytes, the bits of each from the most significant on.

    Raises:
        ImageError: There is less, or something else, in them.
        Exception: What decoders raise where they are damaged.
    """
    chunks = [bits_in_order(page, chunk) for chunk in chunks]
    if page.compression in _BY_LIBTIFF:
        return _by_libtiff(page, shape, chunks, rows)
    decode = _DECODERS[page.compression]
    out = bytearray()
    for i, chunk in enumerate(chunks):
        count = min(shape.height, rows - i * shape.height)
        data = decode(page, shape, chunk, count)
        if len(data) < count * shape.row_bytes:
            raise ImageError(CUT)
        out += memoryview(data)[: count * shape.row_bytes]
    return out


def bits_in_order(page: Any, data: bytes) -> bytes:
    """The data with the most significant bit of each byte first, as FillOrder 1 has it."""
    return data.translate(_BITS_REVERSED) if page.fillorder == 2 and page.compression not in (JPEG, WEBP) else data


def _stored(page: Any, shape: ChunkShape, chunk: bytes, rows: int) -> bytes:
    return chunk


def _inflated(page: Any, shape: ChunkShape, chunk: bytes, rows: int) -> bytearray:
    stream = InflatedStream([chunk])
    data = stream.read(rows * shape.row_bytes)
    if stream.finish() and rows == shape.height:  # a last strip may be filled up to the height of the others
        raise ImageError(CUT)
    return data


def _lzma(page: Any, shape: ChunkShape, chunk: bytes, rows: int) -> bytes:
    most = shape.height * shape.row_bytes
    decompressor = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
    data = decompressor.decompress(chunk, most + 1)  # one more, so that it comes to the checksum
    if not decompressor.eof or len(data) > most:
        raise ImageError(CUT)
    return data


def _jpeg(page: Any, shape: ChunkShape, chunk: bytes, rows: int) -> bytes:
    rgb = page.photometric == _RGB and shape.samples == 3 and not page.is_jfif
    pixels = read_bare_jpeg(chunk, page.jpegtables or b"", rgb, shape.width * shape.height)
    if pixels.shape[0] < rows or pixels.shape[1:] != (shape.width, shape.samples):
        raise ImageError(CUT)
    return pixels.tobytes()


def _webp(page: Any, shape: ChunkShape, chunk: bytes, rows: int) -> bytes:
    width, height = webp_size(chunk[:30])
    if width != shape.width or not rows <= height <= shape.height:
        raise ImageError(CUT)
    with WebPImageFile(io.BytesIO(chunk)) as image:
        return image.convert("RGBA" if shape.samples == 4 else "RGB").tobytes()


_Decoder = Callable[[Any, ChunkShape, bytes, int], bytes | bytearray]
_DECODERS: dict[int, _Decoder] = {
    1: _stored,
    7: _jpeg,
    8: _inflated,
    32946: _inflated,
    34925: _lzma,
    50001: _webp,
}


def _by_libtiff(page: Any, shape: ChunkShape, chunks: list[bytes], rows: int) -> bytes:
    """Make a TIFF of the chunks as strips, and let libtiff decode it."""
    mode, width, bits = ("1", shape.width, 1) if page.compression in _CCITT else ("L", shape.row_bytes, 8)
    ends = 8 + np.cumsum([len(chunk) for chunk in chunks])
    at = int(ends[-1]) + int(ends[-1]) % 2
    entries = [
        long(256, width),
        long(257, rows),
        short(258, bits),
        short(259, page.compression),
        short(262, 1),
        long(273, 8, *ends[:-1]),
        short(277, 1),
        long(278, shape.height),
        long(279, *(len(chunk) for chunk in chunks)),
        *_ccitt_options(page),
    ]
    head, pad = b"II*\0" + struct.pack("<I", at), bytes(at - int(ends[-1]))
    tiff = b"".join((head, *chunks, pad, write_directory(entries, at)))
    with TiffImageFile(io.BytesIO(tiff)) as file:
        # Not file.load(), which has a global limit of pixels, and these are bytes.
        return Image.frombytes(mode, (width, rows), tiff, "libtiff", file.tile[0][3]).tobytes()


def _ccitt_options(page: Any) -> list[Entry]:
    """T4Options and T6Options."""
    return [long(tag, int(page.tags.valueof(tag, default=0))) for tag in (292, 293) if page.compression == tag - 289]
