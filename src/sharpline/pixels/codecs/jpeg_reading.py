"""JPEG files: pixels by libjpeg-turbo (through simplejpeg), markers and metadata by our own short walk.

ITU-T T.81 annex B (markers); JFIF 1.02; EXIF 2.32, section 4.5.4; ICC.1:2022, annex B.4; XMP part 3, 1.1.3.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import simplejpeg
from PIL.JpegImagePlugin import JpegImageFile

from sharpline.errors import ImageError
from sharpline.pixels.codecs.cmyk import rgb_of_cmyk
from sharpline.pixels.codecs.limits import check_size, read_whole
from sharpline.pixels.picture import Array, Metadata, Picture

EXIF, XMP, ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_DECODABLE = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended, progressive; Huffman or arithmetic
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_MAX_SCANS = 200  # a small file of very many scans over a large picture would take minutes
_CUT = "its JPEG data is cut off; copy or download it again"
_COLOUR_SPACES = {1: "GRAY", 3: "RGB", 4: "CMYK"}
_AS_RGB = b"\xff\xee\0\x0eAdobe" + bytes((0, 100, 0, 0, 0, 0, 0))  # Adobe's marker, colour transform 0: none


@dataclass
class _Found:
    components: int = 0
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
    if found.components == 4:
        return Picture(_cmyk_pixels(data, icc), None, Metadata(None, found.exif, found.xmp, found.dpi))
    return Picture(_decoded(data, found), None, Metadata(icc, found.exif, found.xmp, found.dpi))


def read_bare_jpeg(data: bytes, tables: bytes, rgb: bool, max_pixels: int) -> Array:
    """Decode a JPEG that is a part of another file, as in TIFF (TIFF Technical Note 2).

    Args:
        data: The JPEG.
        tables: The tables that it shares with others, as a JPEG without picture; empty where there are none.
        rgb: Its three components are RGB, whatever it says itself.
        max_pixels: Largest width x height that is accepted.

    Returns:
        Array H x W x C uint8: grey, RGB, or the four components as they are.

    Raises:
        ImageError: It is cut off, or of a kind that is not read.
        ValueError: It is damaged.
    """
    whole = data[:2] + (_AS_RGB if rgb else b"") + tables[2:-2] + data[2:]
    return _decoded(whole, _walk(whole, max_pixels))


def _decoded(data: bytes, found: _Found) -> Array:
    try:
        pixels: Array = simplejpeg.decode_jpeg(data, _COLOUR_SPACES[found.components])
        return pixels
    except ValueError:
        # libjpeg's mere warnings, which many cameras' files earn, and chroma sampled in a way that TurboJPEG has no
        # name for, do not stop Pillow; damage does.
        if found.components == 4:
            raise
        with JpegImageFile(io.BytesIO(data)) as image:
            return np.array(image).reshape(image.height, image.width, found.components)


def _cmyk_pixels(data: bytes, icc: bytes | None) -> Array:
    # Pillow, because it knows that Adobe's files hold their inks inverted.
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
                raise ImageError(f"its JPEG data has more than {_MAX_SCANS} scans; save it again as a plain JPEG")
        else:
            _take_metadata(found, code, body)
        at += length
    if not found.components or not found.scans:
        raise ImageError(_CUT)
    return found


def _take_frame(found: _Found, code: int, body: bytes, max_pixels: int) -> None:
    if len(body) < 6 or found.components:
        raise ImageError("its JPEG data is damaged (the frame header); copy or download it again")
    precision, height, width, components = struct.unpack(">BHHB", body[:6])
    check_size(width, height, max_pixels)
    if code not in _DECODABLE or precision != 8 or components not in _COLOUR_SPACES:
        raise ImageError(
            f"a rare kind of JPEG (SOF{code - 0xC0}, {precision} bits, {components} components) is not read; "
            "save it again as a plain JPEG, PNG or TIFF"
        )
    found.components = components


def _take_metadata(found: _Found, code: int, body: bytes) -> None:
    if code == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 12:
        unit, x, y = struct.unpack(">BHH", body[7:12])
        per_inch = {1: 1.0, 2: 2.54}.get(unit)
        if per_inch and x and y and found.dpi is None:
            found.dpi = x * per_inch, y * per_inch
    elif code == 0xE1 and body.startswith(EXIF):
        found.exif = found.exif or body
    elif code == 0xE1 and body.startswith(XMP):
        found.xmp = found.xmp or body[len(XMP) :]
    elif code == 0xE2 and body.startswith(ICC) and len(body) > len(ICC) + 2:
        found.icc.setdefault(body[len(ICC)], body[len(ICC) + 2 :])
