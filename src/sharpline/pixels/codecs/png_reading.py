"""PNG files: 1 to 16 bits with all their metadata (ISO/IEC 15948, third edition for eXIf)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from sharpline.errors import ImageError
from sharpline.pixels.codecs.bits import unpack_bits
from sharpline.pixels.codecs.inflating import InflatedStream
from sharpline.pixels.codecs.limits import check_frames, check_size, inflate, read_whole
from sharpline.pixels.codecs.png_rows import read_rows
from sharpline.pixels.picture import Array, Metadata, Picture

_SIGNATURE_BYTES = 8
_XMP_KEY = b"XML:com.adobe.xmp\0"
_METADATA = (b"iCCP", b"eXIf", b"pHYs")
_PALETTE = 3
_SAMPLES = {0: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}  # colour type -> samples a pixel
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), _PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_INCH = 0.0254  # metres


@dataclass
class _File:
    """What the chunks of a file hold."""

    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool
    palette: bytes = b""
    clear: bytes | None = None  # tRNS: alpha of the palette's colours, or the one transparent colour
    data: list[memoryview] = field(default_factory=list)
    metadata: Metadata = field(default_factory=Metadata)


def read_png(file: BinaryIO, max_pixels: int) -> Picture:
    """Decode a PNG file, pixels and metadata as stored."""
    head = file.read(33)
    if len(head) < 33 or head[12:16] != b"IHDR":
        raise ImageError("the PNG file is cut off in its header; copy or download it again")
    length, width, height, depth, colour_type, *methods, interlaced = struct.unpack(">I4xIIBBBBB", head[8:29])
    check_size(width, height, max_pixels)
    if length != 13 or depth not in _DEPTHS.get(colour_type, ()) or any(methods) or interlaced > 1:
        raise _damaged(b"IHDR")
    png = _File(width, height, depth, colour_type, interlaced == 1)
    _scan(read_whole(file, max_pixels), png)
    pixels, alpha = _pixels(png)
    return Picture(pixels, alpha, png.metadata)


def _damaged(kind: bytes) -> ImageError:
    return ImageError(f"the PNG file is damaged (its {kind.decode()}); copy or download it again")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, first byte and end of each chunk's data."""
    at = _SIGNATURE_BYTES
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        yield kind, at + 8, end
        if kind == b"IEND":
            return
        at = end + 4
    raise ImageError("the PNG file is cut off; copy or download it again")


def _scan(data: bytes, png: _File) -> None:
    """Take from the chunks what they hold; damage in a chunk that the pixels do not depend on is passed over."""
    found: dict[bytes, bytes] = {}
    for kind, start, end in _chunks(data):
        body = memoryview(data)[start:end]
        sound = zlib.crc32(body, zlib.crc32(kind)) == int.from_bytes(data[end : end + 4], "big")
        if _is_critical(kind, len(body), png):
            if not sound:
                raise _damaged(kind)
            _take(kind, body, png)
        elif sound and kind == b"acTL" and len(body) >= 4:
            check_frames(int.from_bytes(body[:4], "big"))
        elif sound and (kind in _METADATA or body[: len(_XMP_KEY)] == _XMP_KEY):
            found.setdefault(kind, bytes(body))
    png.metadata = _metadata(found)


def _is_critical(kind: bytes, length: int, png: _File) -> bool:
    """Whether the pixels depend on a chunk (a transparent colour at the wrong place or length does not count)."""
    if kind == b"tRNS":
        if png.data or png.clear is not None or (png.colour_type == _PALETTE and not png.palette):
            return False
        return length == {0: 2, 2: 6}.get(png.colour_type, 0) or (png.colour_type == _PALETTE and 0 < length <= 256)
    return kind in (b"IHDR", b"IDAT", b"IEND") or (kind == b"PLTE" and png.colour_type == _PALETTE)


def _take(kind: bytes, body: memoryview, png: _File) -> None:
    if kind == b"IDAT":
        png.data.append(body)
    elif kind == b"tRNS":
        png.clear = bytes(body)
    elif kind == b"PLTE":
        if png.palette or png.data or not 0 < len(body) <= 768 or len(body) % 3:
            raise _damaged(kind)
        png.palette = bytes(body)


def _pixels(png: _File) -> tuple[Array, Array | None]:
    """Grey or RGB, and alpha where there is any."""
    samples, indexed = _SAMPLES[png.colour_type], png.colour_type == _PALETTE
    if indexed and not png.palette:
        raise _damaged(b"PLTE")
    dtype = np.uint16 if png.depth == 16 else np.uint8
    size, has_alpha = (png.height, png.width), samples in (2, 4) or png.clear is not None
    pixels = np.empty((*size, 3 if indexed or samples >= 3 else 1), dtype)
    alpha = np.empty(size, dtype) if has_alpha else None
    for rows in read_rows(InflatedStream(png.data), *size[::-1], png.depth * samples, png.interlaced):
        stored = _samples(rows.data, png.depth, rows.width * samples).reshape(-1, rows.width, samples)
        colours, cover = _through_palette(stored[:, :, 0], png) if indexed else _as_colours(stored, png)
        pixels[rows.place] = colours
        if alpha is not None:
            alpha[rows.place] = cover
    return pixels, alpha


def _samples(rows: Array, depth: int, count: int) -> Array:
    if depth == 16:
        return rows.view(">u2")
    return rows if depth == 8 else unpack_bits(rows, depth, count)


def _through_palette(indices: Array, png: _File) -> tuple[Array, Array]:
    table = np.zeros((256, 3), np.uint8)
    table[: len(png.palette) // 3] = np.frombuffer(png.palette, np.uint8).reshape(-1, 3)
    cover = np.full(256, 255, np.uint8)
    clear = png.clear or b""
    cover[: len(clear)] = np.frombuffer(clear, np.uint8)
    return table[indices], cover[indices]


def _as_colours(stored: Array, png: _File) -> tuple[Array, Array | None]:
    if stored.shape[2] in (2, 4):
        return stored[:, :, :-1], stored[:, :, -1]
    top = (1 << png.depth) - 1
    cover = None
    if png.clear is not None:
        clear = np.frombuffer(png.clear, ">u2") & top
        cover = np.where((stored == clear).all(axis=2), 0, 65535 if png.depth == 16 else 255)
    return (stored if png.depth >= 8 else stored * np.uint8(255 // top)), cover


def _metadata(found: dict[bytes, bytes]) -> Metadata:
    return Metadata(
        icc=_profile(found.get(b"iCCP", b"")),
        exif=found.get(b"eXIf"),
        xmp=_xmp(found.get(b"iTXt", b"")),
        dpi=_dpi(found.get(b"pHYs", b"")),
    )


def _profile(chunk: bytes) -> bytes | None:
    name_end = chunk.find(b"\0")
    return inflate(chunk[name_end + 2 :]) if name_end >= 0 else None


def _xmp(chunk: bytes) -> bytes | None:
    compressed = chunk[len(_XMP_KEY) : len(_XMP_KEY) + 1] == b"\1"
    fields = chunk[len(_XMP_KEY) + 2 :].split(b"\0", 2)  # language tag, translated keyword, text
    if len(fields) < 3:
        return None
    return inflate(fields[2]) if compressed else fields[2]


def _dpi(chunk: bytes) -> tuple[float, float] | None:
    if len(chunk) != 9 or chunk[8] != 1:
        return None
    x, y = struct.unpack(">II", chunk[:8])
    return x * _INCH, y * _INCH
