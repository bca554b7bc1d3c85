"""TIFF and BigTIFF files with one picture: 1 to 16-bit integers and floats, in the usual storage kinds.

TIFF 6.0; tifffile reads the structure, `tiff_samples` the samples, and this module gives them their meaning.
"""

from __future__ import annotations

import logging
import math
import struct
from typing import Any, BinaryIO

import numpy as np
import tifffile
from PIL import Image

from sharpline.errors import ImageError
from sharpline.pixels.codecs.cmyk import rgb_of_cmyk
from sharpline.pixels.codecs.limits import check_frames, check_size
from sharpline.pixels.codecs.tiff_compressions import COMPRESSIONS, CUT, JPEG, WEBP
from sharpline.pixels.codecs.tiff_samples import read_samples
from sharpline.pixels.depth import row_bands
from sharpline.pixels.exif import dpi_of_entries
from sharpline.pixels.picture import Array, Metadata, Picture
from sharpline.pixels.tiff_tags import exif_block, read_directory, read_exif_tags

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else its remarks on odd files reach stderr

_WHITE_IS_0, _BLACK_IS_0, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_CHANNELS = {_WHITE_IS_0: 1, _BLACK_IS_0: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType: thumbnails and overviews, transparency masks
_PREMULTIPLIED, _STRAIGHT = 1, 2  # ExtraSamples
_DNG_VERSION = 0xC612
_STRUCTURE_TAGS = frozenset({256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339})
_MANY = 64  # directories: more than any set of thumbnails, and not worth reading one by one


def read_tiff(file: BinaryIO, max_pixels: int) -> Picture:
    """Decode a TIFF file of one picture (thumbnails and masks beside it are passed over), as stored."""
    with tifffile.TiffFile(file, name="picture") as tif:
        page = _only_page(tif)
        check_size(page.imagewidth, page.imagelength, max_pixels)
        _check_kind(page)
        _check_complete(tif, page)
        metadata = _metadata(tif, page)
        samples = read_samples(tif, page, max_pixels)
    return _meaning(samples, page, metadata)


def _only_page(tif: Any) -> Any:
    directories = len(tif.pages)
    if not directories:
        raise ImageError(CUT)
    if directories > _MANY:
        check_frames(directories, "pages")
    pages = [p for p in map(tif.pages.get, range(directories)) if not _subfile(p) & (_REDUCED | _MASK)]
    check_frames(len(pages), "pages")
    if not pages or _DNG_VERSION in pages[0].tags:
        raise ImageError("it is a camera's raw file or holds a thumbnail only; develop it to a plain TIFF or JPEG")
    page = pages[0]
    if tif.is_imagej:
        check_frames(int((tif.imagej_metadata or {}).get("images", 1)), "pages")
    if tif.is_shaped:  # tifffile itself writes stacks of pictures behind one directory
        described: Any = (tif.shaped_metadata or ({},))[0]
        shape = described.get("shape", page.shape)
        check_frames(math.prod(shape) // max(1, math.prod(page.shape)), "pages")
    if page.axes not in ("YX", "YXS", "SYX"):
        check_frames(page.imagedepth, "layers")
    return page


def _subfile(page: Any) -> int:
    return int(page.tags.valueof(254, default=0) or 0)


def _check_kind(page: Any) -> None:
    """Refuse what cannot be read exactly, in words, before it is decoded."""
    bits, kind = page.bitspersample, page.sampleformat
    formats = page.tags.valueof(339, default=kind)
    if not isinstance(bits, int) or (isinstance(formats, tuple) and len(set(formats)) > 1):
        raise ImageError("its channels are of different kinds; convert it to one of 8 or 16 bits a channel first")
    named = {1: f"uint{bits}", 2: f"int{bits}", 3: f"float{bits}", 5: "complex", 6: "complex"}.get(kind, "unknown")
    if not (kind == 1 and bits <= 16) and not (kind == 3 and bits in (16, 32)):
        raise ImageError(
            f"its samples are {named}; 1 to 16-bit unsigned integers and floats of 16 or 32 bits are read: "
            "convert it to uint16 or float32 first"
        )
    if page.compression not in COMPRESSIONS:
        raise ImageError(f"its compression ({_name(page.compression)}) is not read; save it with LZW or Deflate")
    if page.compression in (JPEG, WEBP) and bits != 8:
        raise ImageError(
            f"its compression ({_name(page.compression)}) is read for 8 bits, not {bits}; save it with LZW"
        )
    colour = page.photometric
    if colour not in _CHANNELS or (colour == _YCBCR and page.compression != JPEG):
        raise ImageError(f"its colours are stored as {_name(colour)}; convert it to RGB or grey first")
    extra = page.samplesperpixel - _CHANNELS[colour]
    if extra not in (0, 1):
        raise ImageError(
            f"it has {page.samplesperpixel} channels; grey, RGB or CMYK and alpha are read: drop the others"
        )
    if colour in (_CMYK, _PALETTE) and page.dtype not in (np.uint8, np.bool_):
        raise ImageError(f"it is {_name(colour)} of {bits} bits, of which 8 are read; convert it to RGB first")


def _name(code: Any) -> str:
    name = str(getattr(code, "name", code))
    return {"SEPARATED": "CMYK"}.get(name, name)


def _check_complete(tif: Any, page: Any) -> None:
    read = set(page.tags.keys())
    if (_stored_tags(tif, page) & _STRUCTURE_TAGS) - read:
        raise ImageError(CUT)
    if page.planarconfig not in (1, 2):
        raise ImageError(CUT)
    offsets, counts = page.dataoffsets, page.databytecounts
    needed = math.prod(page.chunked)
    ends = (o + c for o, c in zip(offsets, counts, strict=False))
    if min(len(offsets), len(counts)) < needed or 0 in counts or max(ends, default=0) > tif.filehandle.size:
        raise ImageError(CUT)
    if sum(counts) > tif.filehandle.size + 2 * page.nbytes:  # the same data told over and over
        raise ImageError(CUT)


def _stored_tags(tif: Any, page: Any) -> set[int]:
    """Numbers of the tags in the page's directory, also of those whose values are cut off."""
    count_format, entry = ("Q", 20) if tif.is_bigtiff else ("H", 12)
    tif.filehandle.seek(page.offset)
    head = tif.filehandle.read(struct.calcsize("<" + count_format))
    count = min(struct.unpack(tif.byteorder + count_format, head)[0], 4096)
    data = tif.filehandle.read(entry * count)
    return {struct.unpack_from(tif.byteorder + "H", data, at)[0] for at in range(0, len(data) - 1, entry)}


def _metadata(tif: Any, page: Any) -> Metadata:
    def read_at(offset: int, length: int) -> bytes:
        tif.filehandle.seek(offset)
        return bytes(tif.filehandle.read(length))

    order, big = tif.byteorder, tif.is_bigtiff
    try:
        entries, _ = read_directory(read_at, page.offset, order, big)
        exif = exif_block(read_exif_tags(read_at, page.offset, order, big))
    except (ValueError, OSError, OverflowError):
        return Metadata()
    values = {e.tag: e.value for e in entries}
    return Metadata(values.get(34675), exif, values.get(700), dpi_of_entries(entries))


def _meaning(samples: Array, page: Any, metadata: Metadata) -> Picture:
    """Samples as stored -> grey or RGB, and alpha."""
    colour, channels = page.photometric, _CHANNELS[page.photometric]
    alpha = None
    if samples.shape[2] > channels and page.extrasamples and page.extrasamples[0] in (_PREMULTIPLIED, _STRAIGHT):
        alpha = _full_range(samples[:, :, channels], page)
    pixels = samples[:, :, :channels]
    if colour == _PALETTE:
        return Picture(_through_palette(pixels[:, :, 0], page.colormap), alpha, metadata)
    if colour == _CMYK:
        image = Image.fromarray(np.ascontiguousarray(pixels), "CMYK")
        return Picture(rgb_of_cmyk(image, metadata.icc), alpha, Metadata(None, *_rest(metadata)))
    pixels = _full_range(pixels, page)
    if colour == _WHITE_IS_0:
        pixels = (1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max) - pixels
    if alpha is not None and page.extrasamples[0] == _PREMULTIPLIED:
        pixels = _unmultiplied(pixels, alpha)
    return Picture(np.ascontiguousarray(pixels), alpha, metadata)


def _rest(metadata: Metadata) -> tuple[bytes | None, bytes | None, tuple[float, float] | None]:
    return metadata.exif, metadata.xmp, metadata.dpi


def _full_range(samples: Array, page: Any) -> Array:
    """Samples of any width as uint8, uint16 or checked float32 over their whole range."""
    if samples.dtype.kind == "f":
        return _checked_floats(samples)
    top, full = (1 << page.bitspersample) - 1, int(np.iinfo(samples.dtype).max)
    if top == full:
        return np.ascontiguousarray(samples)
    stretched: Array = (samples.astype(np.uint32) * full + top // 2) // top
    return stretched.astype(samples.dtype)


def _checked_floats(samples: Array) -> Array:
    pixels = np.ascontiguousarray(samples, dtype=np.float32)
    bad = sum(int(np.count_nonzero(~np.isfinite(pixels[rows]))) for rows in _bands(pixels))
    if bad:
        raise ImageError(f"{bad:,} of its {pixels.size:,} values are NaN or infinite; replace them first")
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 1:
        raise ImageError(f"its values go from {low:g} to {high:g}; floats are read in 0 to 1: scale them first")
    return pixels


def _through_palette(indices: Array, colormap: Array) -> Array:
    table = np.asarray(colormap).T  # 2^bits x 3, 16 bits; files of 8-bit programs hold v * 257 or v * 256
    table = (table >> 8).astype(np.uint8)
    if indices.max(initial=0) >= len(table):
        raise ImageError("its palette is shorter than its pixels ask; the file is damaged")
    return np.ascontiguousarray(table[indices.astype(np.uint8)])


def _unmultiplied(pixels: Array, alpha: Array) -> Array:
    out = np.empty_like(pixels)
    full = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    for rows in _bands(pixels):
        cover = np.maximum(alpha[rows, :, None].astype(np.float64), 1e-9)
        straight = np.minimum(pixels[rows] * (full / cover), full)
        out[rows] = straight if pixels.dtype.kind == "f" else np.rint(straight)
    return out


def _bands(pixels: Array) -> Any:
    return row_bands(pixels.shape[0], pixels[0].size)
