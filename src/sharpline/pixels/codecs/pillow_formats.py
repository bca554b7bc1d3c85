"""The formats that Pillow reads and writes for us: WebP and AVIF, and for reading GIF and BMP.

The plugins are called directly: ``Image.open`` would try every format it knows and has a global size limit.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, Image, ImageFile, WebPImagePlugin

from sharpline.errors import ImageError
from sharpline.pixels.codecs.limits import check_frames, check_size, read_whole
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.metadata import metadata_to_write
from sharpline.pixels.picture import Array, Metadata, Picture

_AVIF_QUALITY, _AVIF_SPEED = 90, 9
_WEBP_LOSSY_METHOD, _WEBP_LOSSLESS_METHOD, _WEBP_LOSSLESS_EFFORT = 2, 0, 20

_warnings_lock = threading.Lock()


@contextmanager
def _silent() -> Iterator[None]:
    """Keep Pillow's warnings off stderr; the lock because warning filters belong to the whole process."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_webp(file: BinaryIO, max_pixels: int) -> Picture:
    """Decode a still WebP file, as stored."""
    check_size(*webp_size(file.read(30)), max_pixels)
    return _read(WebPImagePlugin.WebPImageFile, read_whole(file, max_pixels), max_pixels)


def read_avif(file: BinaryIO, max_pixels: int) -> Picture:
    """Decode a still AVIF file to 8 bits, as stored."""
    return _read(AvifImagePlugin.AvifImageFile, read_whole(file, max_pixels), max_pixels)


def read_gif(file: BinaryIO, max_pixels: int) -> Picture:
    """Decode a GIF file of one frame."""
    return _read(GifImagePlugin.GifImageFile, read_whole(file, max_pixels), max_pixels)


def read_bmp(file: BinaryIO, max_pixels: int) -> Picture:
    """Decode a BMP file."""
    return _read(BmpImagePlugin.BmpImageFile, read_whole(file, max_pixels), max_pixels)


def webp_size(head: bytes) -> tuple[int, int]:
    """Width and height from the first chunk of a file, of which 30 bytes will do (WebP container, RFC 9649)."""
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(head) >= 30:
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ImageError("the WebP file is cut off or damaged in its header; copy or download it again")


def _read(plugin: Callable[[Any], ImageFile.ImageFile], data: bytes, max_pixels: int) -> Picture:
    with _silent():
        image: Any = plugin(io.BytesIO(data))
        check_size(image.width, image.height, max_pixels)
        check_frames(getattr(image, "n_frames", 1))
    image.load()
    info = image.info
    metadata = Metadata(info.get("icc_profile"), info.get("exif"), info.get("xmp"), info.get("dpi"))
    pixels, alpha = _arrays(image)
    return Picture(pixels, alpha, metadata)


def _arrays(image: Image.Image) -> tuple[Array, Array | None]:
    """Pillow's image of any 8-bit mode as pixels and alpha."""
    if image.mode == "P":
        with _silent():
            image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode == "L" and "transparency" in image.info:
        image = image.convert("LA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    bands = image.split()
    alpha = np.array(bands[-1]) if image.mode in ("LA", "RGBA") else None
    colours = bands[:-1] if alpha is not None else bands
    pixels = np.empty((image.height, image.width, len(colours)), np.uint8)
    for c, band in enumerate(colours):
        pixels[:, :, c] = np.asarray(band)
    return pixels, alpha


def write_webp(file: BinaryIO, picture: Picture, quality: int | None = None) -> None:
    """Encode a picture as WebP, 8 bits: lossless, or lossy where a quality is given. Grey becomes RGB."""
    if quality is None:
        options = {
            "lossless": True,
            "quality": _WEBP_LOSSLESS_EFFORT,
            "method": _WEBP_LOSSLESS_METHOD,
            "exact": True,
        }
    else:
        options = {"quality": quality, "method": _WEBP_LOSSY_METHOD, "exact": True}
    _write(file, picture, "WEBP", options)


def write_avif(file: BinaryIO, picture: Picture, quality: int | None = None) -> None:
    """Encode a picture as AVIF, 8 bits, 4:4:4, quality 90 unless told otherwise. Grey becomes RGB."""
    quality = _AVIF_QUALITY if quality is None else quality
    _write(file, picture, "AVIF", {"quality": quality, "speed": _AVIF_SPEED, "subsampling": "4:4:4"})


def _write(file: BinaryIO, picture: Picture, format: str, options: dict[str, Any]) -> None:
    metadata = metadata_to_write(picture, channels=3, has_dpi_field=False)
    carried = {"icc_profile": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp}
    with _silent():
        image = _image(picture)
    image.save(file, format, **options, **{k: v for k, v in carried.items() if v})


def _image(picture: Picture) -> Image.Image:
    pixels = convert_depth(picture.pixels, np.uint8)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if picture.alpha is not None:
        pixels = np.dstack((pixels, convert_depth(picture.alpha, np.uint8)))
    return Image.fromarray(np.ascontiguousarray(pixels))
