"""PNG: 1 to 16 bits with all its metadata (ISO/IEC 15948, third edition for eXIf).

libpng decodes (through imagecodecs, which keeps 16 bits; Pillow does not). Encoding is our own: one fixed
filter, taken in numpy, and fast compression, several times quicker than libpng's adaptive choice of filters.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import imagecodecs
import numpy as np

from sharpline.errors import ImageError
from sharpline.pixels.codecs.limits import check_frames, check_size, inflate, read_whole
from sharpline.pixels.depth import convert_depth, row_bands
from sharpline.pixels.metadata import metadata_to_write
from sharpline.pixels.picture import Array, Metadata, Picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP_KEY = b"XML:com.adobe.xmp\0"
_METADATA = (b"iCCP", b"eXIf", b"pHYs")
_PALETTE = 3
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # samples a pixel -> grey, grey + alpha, RGB, RGBA
_INCH = 0.0254  # metres
_AT_ONCE = 64 << 20  # bytes: up to here compressed in one go by libdeflate, beyond as a stream by zlib
_UP = 2


def read_png(file: BinaryIO, max_pixels: int) -> Picture:
    """Decode a PNG file, pixels and metadata as stored."""
    head = file.read(33)
    if len(head) < 33 or head[12:16] != b"IHDR":
        raise ImageError("the PNG file is cut off in its header; copy or download it again")
    width, height = struct.unpack(">II", head[16:24])
    check_size(width, height, max_pixels)
    data = read_whole(file, max_pixels)
    metadata, data = _scan(data)
    pixels = imagecodecs.png_decode(data)
    return _split(pixels if pixels.ndim == 3 else pixels[:, :, None], metadata)


def _split(samples: Array, metadata: Metadata) -> Picture:
    if samples.shape[2] in (1, 3):
        return Picture(samples, None, metadata)
    return Picture(np.ascontiguousarray(samples[:, :, :-1]), samples[:, :, -1].copy(), metadata)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Type, first byte and end of each chunk's data."""
    at = len(_SIGNATURE)
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


def _scan(data: bytes) -> tuple[Metadata, bytes]:
    """The metadata, and the file reduced to what the decoder needs.

    libpng would complain of damaged side chunks on stderr, so they are judged here and hidden from it.
    """
    found: dict[bytes, bytes] = {}
    kept = [memoryview(data)[: len(_SIGNATURE)]]
    colour_type, seen = data[25], set[bytes]()
    for kind, start, end in _chunks(data):
        sound = zlib.crc32(memoryview(data)[start - 4 : end]) == int.from_bytes(data[end : end + 4], "big")
        if _is_critical(kind, colour_type, end - start, seen):
            if not sound:
                raise ImageError(f"the PNG file is damaged (its {kind.decode()}); copy or download it again")
            seen.add(kind)
            kept.append(memoryview(data)[start - 8 : end + 4])
        elif sound and kind == b"acTL" and end - start >= 4:
            check_frames(int.from_bytes(data[start : start + 4], "big"))
        elif sound and (kind in _METADATA or data[start : start + len(_XMP_KEY)] == _XMP_KEY):
            found.setdefault(kind, data[start:end])
    return _metadata(found), b"".join(kept)


def _is_critical(kind: bytes, colour_type: int, length: int, seen: set[bytes]) -> bool:
    """Whether the pixels depend on a chunk (a transparent colour at the wrong place or length does not count)."""
    if kind == b"tRNS":
        if seen & {b"tRNS", b"IDAT"} or (colour_type == _PALETTE and b"PLTE" not in seen):
            return False
        return length == {0: 2, 2: 6}.get(colour_type, 0) or (colour_type == _PALETTE and 0 < length <= 256)
    return kind in (b"IHDR", b"IDAT", b"IEND") or (kind == b"PLTE" and colour_type == _PALETTE)


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


def write_png(file: BinaryIO, picture: Picture, quality: int | None = None) -> None:
    """Encode a picture as PNG: 8 bits, or 16 bits for uint16 and float32 pixels. Little memory is needed."""
    height, width, channels = picture.pixels.shape
    samples = channels + (picture.alpha is not None)
    depth = 1 if picture.pixels.dtype == np.uint8 else 2
    metadata = metadata_to_write(picture, channels=channels, has_dpi_field=True)
    header = struct.pack(">IIBBBBB", width, height, 8 * depth, _COLOUR_TYPES[samples], 0, 0, 0)
    file.write(_SIGNATURE)
    _write_chunk(file, b"IHDR", header)
    _write_metadata(file, metadata)
    row_bytes = width * samples * depth
    for data in _deflated(_filtered(picture, row_bytes), height * (row_bytes + 1)):
        _write_chunk(file, b"IDAT", data)
    _write_chunk(file, b"IEND", b"")


def _write_chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind)
    file.write(data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


def _write_metadata(file: BinaryIO, metadata: Metadata) -> None:
    if metadata.icc:
        _write_chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc))
    if metadata.dpi:
        x, y = (min(round(d / _INCH), (1 << 31) - 1) for d in metadata.dpi)
        _write_chunk(file, b"pHYs", struct.pack(">IIB", x, y, 1))
    if metadata.exif:
        _write_chunk(file, b"eXIf", metadata.exif)
    if metadata.xmp:
        _write_chunk(file, b"iTXt", _XMP_KEY + b"\0\0\0\0" + metadata.xmp)


def _filtered(picture: Picture, row_bytes: int) -> Iterator[bytes]:
    """Bands of rows as PNG filters them: each byte minus the byte above (filter type 2, Up)."""
    above = np.zeros((1, row_bytes), np.uint8)
    for rows in row_bands(picture.pixels.shape[0], row_bytes):
        band = _samples(picture, rows, row_bytes)
        out = np.empty((len(band), row_bytes + 1), np.uint8)
        out[:, 0] = _UP
        np.subtract(band[:1], above, out=out[:1, 1:])
        np.subtract(band[1:], band[:-1], out=out[1:, 1:])
        above = band[-1:]
        yield out.tobytes()


def _samples(picture: Picture, rows: slice, row_bytes: int) -> Array:
    """A band of rows as bytes in the file's order: pixel by pixel, alpha last, 16 bits big end first."""
    band = picture.pixels[rows]
    if picture.alpha is not None:
        band = np.concatenate((band, picture.alpha[rows, :, None]), axis=2)
    if band.dtype != np.uint8:
        band = convert_depth(band, np.uint16).astype(">u2")
    return np.ascontiguousarray(band).view(np.uint8).reshape(-1, row_bytes)


def _deflated(bands: Iterator[bytes], total: int) -> Iterator[bytes]:
    if total <= _AT_ONCE:
        yield bytes(imagecodecs.deflate_encode(b"".join(bands), level=1))
        return
    stream = zlib.compressobj(1)
    for band in bands:
        if data := stream.compress(band):
            yield data
    yield stream.flush()
