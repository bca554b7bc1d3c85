"""JPEG: pixels by libjpeg-turbo (through imagecodecs), markers and metadata by our own short walk.

ITU-T T.81 annex B (markers); JFIF 1.02; EXIF 2.32, section 4.5.4; ICC.1:2022, annex B.4; XMP part 3, 1.1.3.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import imagecodecs
import numpy as np

from sharpline.errors import ImageError
from sharpline.pixels.codecs.cmyk import rgb_of_cmyk
from sharpline.pixels.codecs.limits import check_size, read_whole
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.metadata import metadata_to_write
from sharpline.pixels.picture import Array, Metadata, Picture

_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_SEGMENT = 65_533  # bytes of data that one segment holds
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_DECODABLE = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended, progressive; Huffman or arithmetic
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_MAX_SCANS = 200  # a small file of very many scans over a large picture would take minutes
_CUT = "the JPEG file is cut off; copy or download it again"
_QUALITY = 95


@dataclass
class _Found:
    frame: tuple[int, int, int, int, int] | None = None  # marker, precision, height, width, components
    scans: int = 0
    icc: dict[int, bytes] = field(default_factory=dict)
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None


def read_jpeg(file: BinaryIO, max_pixels: int) -> Picture:
    """Decode a JPEG file (of several pictures in one, as MPO: the first), pixels and metadata as stored."""
    data = read_whole(file, max_pixels)
    found = _walk(data, max_pixels)
    icc = b"".join(found.icc[i] for i in sorted(found.icc)) or None
    if found.frame and found.frame[4] == 4:
        return Picture(_cmyk_pixels(data, icc), None, Metadata(None, found.exif, found.xmp, found.dpi))
    pixels = imagecodecs.jpeg8_decode(data)
    return Picture(
        pixels if pixels.ndim == 3 else pixels[:, :, None],
        None,
        Metadata(icc, found.exif, found.xmp, found.dpi),
    )


def _cmyk_pixels(data: bytes, icc: bytes | None) -> Array:
    # Pillow, because it knows that Adobe's files hold their inks inverted.
    from PIL.JpegImagePlugin import JpegImageFile

    with JpegImageFile(io.BytesIO(data)) as image:
        image.load()
        return rgb_of_cmyk(image, icc)


def _walk(data: bytes, max_pixels: int) -> _Found:
    """Go from marker to marker up to the end of the first picture, which must be there."""
    found, at = _Found(), 2
    while True:
        marker = _NEXT_MARKER.search(data, at)
        if marker is None:
            raise ImageError(_CUT)
        code, at = data[marker.end() - 1], marker.end()
        if code == 0xD9:
            break
        if code in (0x01, 0xD8):
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : at + length]
        if length < 2 or len(body) < length - 2:
            raise ImageError(_CUT)
        if code in _FRAMES:
            _take_frame(found, code, body, max_pixels)
        elif code == 0xDA:
            found.scans += 1
            if found.scans > _MAX_SCANS:
                raise ImageError(f"the JPEG file has more than {_MAX_SCANS} scans; save it again as a plain JPEG")
        else:
            _take_metadata(found, code, body)
        at += length
    if found.frame is None or not found.scans:
        raise ImageError(_CUT)
    return found


def _take_frame(found: _Found, code: int, body: bytes, max_pixels: int) -> None:
    if len(body) < 6 or found.frame:
        raise ImageError("the JPEG file is damaged (its frame header); copy or download it again")
    precision, height, width, components = struct.unpack(">BHHB", body[:6])
    check_size(width, height, max_pixels)
    if code not in _DECODABLE or precision != 8 or components not in (1, 3, 4):
        raise ImageError(
            f"a rare kind of JPEG (SOF{code - 0xC0}, {precision} bits, {components} components) is not read; "
            "save it again as a plain JPEG, PNG or TIFF"
        )
    found.frame = (code, precision, height, width, components)


def _take_metadata(found: _Found, code: int, body: bytes) -> None:
    if code == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 12:
        unit, x, y = struct.unpack(">BHH", body[7:12])
        per_inch = {1: 1.0, 2: 2.54}.get(unit)
        if per_inch and x and y and found.dpi is None:
            found.dpi = x * per_inch, y * per_inch
    elif code == 0xE1 and body.startswith(_EXIF):
        found.exif = found.exif or body
    elif code == 0xE1 and body.startswith(_XMP):
        found.xmp = found.xmp or body[len(_XMP) :]
    elif code == 0xE2 and body.startswith(_ICC) and len(body) > len(_ICC) + 2:
        found.icc.setdefault(body[len(_ICC)], body[len(_ICC) + 2 :])


def write_jpeg(file: BinaryIO, picture: Picture, quality: int | None = None) -> None:
    """Encode a picture as JPEG: 8 bits, full colour resolution (4:4:4), quality 95 unless told otherwise."""
    pixels = convert_depth(picture.pixels, np.uint8)
    grey = pixels.shape[2] == 1
    data = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(pixels[:, :, 0] if grey else pixels),
        level=_QUALITY if quality is None else quality,
        subsampling=None if grey else "444",
    )
    metadata = metadata_to_write(picture, channels=pixels.shape[2], has_dpi_field=True)
    start = 2
    if data[2:4] == b"\xff\xe0":
        start += 2 + int.from_bytes(data[4:6], "big")
    file.write(b"\xff\xd8" + _segments(metadata))
    file.write(memoryview(data)[start:])


def _segments(metadata: Metadata) -> bytes:
    """The segments before the picture. EXIF or XMP that is too long for a JPEG's segment is left out."""
    x, y = (min(max(round(d), 1), 65_535) for d in metadata.dpi or (1, 1))
    out = [_segment(0xE0, b"JFIF\0" + struct.pack(">HBHHBB", 0x0101, 1 if metadata.dpi else 0, x, y, 0, 0))]
    if metadata.exif:
        out.append(_segment(0xE1, _EXIF + metadata.exif))
    if metadata.xmp:
        out.append(_segment(0xE1, _XMP + metadata.xmp))
    icc, step = metadata.icc or b"", _SEGMENT - len(_ICC) - 2
    parts = [icc[i : i + step] for i in range(0, len(icc), step)]
    if len(parts) <= 255:
        out += [_segment(0xE2, _ICC + bytes((i, len(parts))) + part) for i, part in enumerate(parts, 1)]
    return b"".join(out)


def _segment(code: int, body: bytes) -> bytes:
    if len(body) > _SEGMENT:
        return b""
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body
