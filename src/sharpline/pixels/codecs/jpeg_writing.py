"""JPEG files written: pixels by Pillow's libjpeg-turbo, metadata and the order of things by us.

Pillow and not TurboJPEG, which takes a faster and coarser transform below quality 96 (0.5 dB at 95). Pillow needs
four bytes a pixel beside the array, so a large picture goes through it in bands. ITU-T T.81, annexes B and E.
"""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from sharpline.pixels.codecs.jpeg_reading import EXIF, ICC, XMP
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.metadata import metadata_to_write
from sharpline.pixels.picture import Array, Metadata, Picture

_SEGMENT = 65_533  # bytes of data that one segment holds
_QUALITY = 95
_BLOCK = 8
_AT_ONCE = 16 << 20  # pixels: up to here in one piece
_LONGEST_INTERVAL = 65_535  # blocks between restart markers
_START, _END, _APP0, _FRAME, _INTERVAL, _SCAN, _RESTART = 0xD8, 0xD9, 0xE0, 0xC0, 0xDD, 0xDA, 0xD0


def write_jpeg(file: BinaryIO, picture: Picture, quality: int | None = None) -> None:
    """Encode a picture as JPEG: 8 bits, full colour resolution (4:4:4), quality 95 unless told otherwise."""
    pixels = convert_depth(picture.pixels, np.uint8)
    height, width = pixels.shape[:2]
    metadata = metadata_to_write(picture, channels=pixels.shape[2], has_dpi_field=True)
    file.write(bytes((0xFF, _START)) + _metadata_segments(metadata))
    across = -(-width // _BLOCK)
    rows = height if height * width <= _AT_ONCE else _LONGEST_INTERVAL // across * _BLOCK
    for k, top in enumerate(range(0, height, rows)):
        head, scan = _encoded(pixels[top : top + rows], _QUALITY if quality is None else quality)
        if k == 0:
            file.write(_header(head, height, 0 if rows >= height else rows // _BLOCK * across))
        else:
            file.write(bytes((0xFF, _RESTART + (k - 1) % 8)))
        file.write(scan)
    file.write(bytes((0xFF, _END)))


def _encoded(pixels: Array, quality: int) -> tuple[list[bytes], memoryview]:
    """The segments of a JPEG of these rows, each with its marker, and its compressed data."""
    out = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    image.save(out, "JPEG", quality=quality, subsampling=0)
    data, segments, at = out.getbuffer(), list[bytes](), 2
    while not segments or segments[-1][1] != _SCAN:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        segments.append(bytes(data[at:end]))
        at = end
    return segments, data[at:-2]


def _header(segments: list[bytes], height: int, interval: int) -> bytes:
    """The segments before the data: for a picture of this height, with a restart marker after so many blocks."""
    out = b""
    for segment in segments:
        if segment[1] == _FRAME:
            segment = segment[:5] + struct.pack(">H", height) + segment[7:]
        elif segment[1] == _SCAN and interval:
            out += _segment(_INTERVAL, struct.pack(">H", interval))
        out += b"" if segment[1] == _APP0 else segment
    return out


def _metadata_segments(metadata: Metadata) -> bytes:
    """The segments before the picture. EXIF or XMP that is too long for a JPEG's segment is left out."""
    x, y = (min(max(round(d), 1), 65_535) for d in metadata.dpi or (1, 1))
    out = [_segment(_APP0, b"JFIF\0" + struct.pack(">HBHHBB", 0x0101, 1 if metadata.dpi else 0, x, y, 0, 0))]
    if metadata.exif:
        out.append(_segment(0xE1, EXIF + metadata.exif))
    if metadata.xmp:
        out.append(_segment(0xE1, XMP + metadata.xmp))
    icc, step = metadata.icc or b"", _SEGMENT - len(ICC) - 2
    parts = [icc[i : i + step] for i in range(0, len(icc), step)]
    if len(parts) <= 255:
        out += [_segment(0xE2, ICC + bytes((i, len(parts))) + part) for i, part in enumerate(parts, 1)]
    return b"".join(out)


def _segment(code: int, body: bytes) -> bytes:
    if len(body) > _SEGMENT:
        return b""
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body
