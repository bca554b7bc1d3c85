"""From the strips or tiles of a TIFF page to one array of samples (TIFF 6.0, sections 3, 14 and 15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sharpline.errors import ImageError
from sharpline.pixels.codecs.bits import unpack_bits
from sharpline.pixels.codecs.limits import check_size
from sharpline.pixels.codecs.tiff_compressions import CUT, OF_PIXELS, ChunkShape, bits_in_order, decompress
from sharpline.pixels.depth import row_bands
from sharpline.pixels.picture import Array

_NOT_COMPRESSED = 1
_NO_PREDICTOR, _DIFFERENCES, _FLOAT_DIFFERENCES = 1, 2, 3
_GROUP_BYTES = 4 << 20  # what is decompressed at a time, unless one strip has more
_BAND_BYTES = 1 << 20


@dataclass(frozen=True)
class _Stored:
    """How the samples of a page stand in its file."""

    file: Any  # tifffile's
    page: Any  # tifffile's
    shape: ChunkShape
    predictor: int
    dtype: np.dtype[Any]  # in the file's byte order; of fewer bits than 8, or than 16: what they become

    def chunk(self, index: int) -> bytes:
        return self.part(self.page.dataoffsets[index], self.page.databytecounts[index])

    def part(self, offset: int, length: int) -> bytes:
        self.file.seek(offset)
        return bytes(self.file.read(length))


def read_samples(tif: Any, page: Any, max_pixels: int) -> Array:
    """Read the samples of a page as they are stored.

    Args:
        tif: tifffile's file.
        page: tifffile's page; all its strips or tiles are known to be in the file.
        max_pixels: Largest width x height of a tile that is accepted.

    Returns:
        Array H x W x S: uint8 for up to 8 bits, uint16 for up to 16, float16 or float32. Integers of b bits go up to
        2^b - 1.

    Raises:
        ImageError: They are cut off, or stored in a way that is not read.
        Exception: What decoders raise where they are damaged.
    """
    stored = _stored(tif, page)
    check_size(stored.shape.width, stored.shape.height, max_pixels)
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    out = np.empty((height, width, samples), stored.dtype.newbyteorder("="))
    together = stored.shape.samples
    chunks = -(-height // stored.shape.height) * -(-width // stored.shape.width)
    for plane in range(samples // together):
        target = out[:, :, plane * together : (plane + 1) * together]
        if page.is_tiled:
            _fill_from_tiles(stored, target, range(plane * chunks, (plane + 1) * chunks))
        elif page.compression == _NOT_COMPRESSED:
            _fill_from_stored_rows(stored, target, plane * chunks)
        else:
            _fill_from_strips(stored, target, plane * chunks)
    return out


def _stored(tif: Any, page: Any) -> _Stored:
    bits, floats = page.bitspersample, page.sampleformat == 3
    shape = ChunkShape(
        width=page.tilewidth if page.is_tiled else page.imagewidth,
        height=page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength),
        samples=1 if page.planarconfig == 2 else page.samplesperpixel,
        bits=bits,
    )
    predictor = _NO_PREDICTOR if page.compression in OF_PIXELS else page.predictor
    fits = {_NO_PREDICTOR: True, _DIFFERENCES: bits in (8, 16, 32), _FLOAT_DIFFERENCES: floats}
    if not fits.get(predictor, False):
        raise ImageError(f"its predictor {int(predictor)} for {bits} bits is not read; save it with LZW or Deflate")
    dtype = np.dtype(f"{tif.byteorder}{'f' if floats else 'u'}{1 if bits <= 8 else 2 if bits <= 16 else 4}")
    return _Stored(tif.filehandle, page, shape, int(predictor), dtype)


def _fill_from_stored_rows(stored: _Stored, target: Array, first: int) -> None:
    """Strips that are not compressed need not be taken whole."""
    shape, height = stored.shape, len(target)
    for index, top in enumerate(range(0, height, shape.height), first):
        strip = target[top : top + shape.height]
        for band in row_bands(len(strip), shape.row_bytes, _BAND_BYTES):
            length = (band.stop - band.start) * shape.row_bytes
            data = stored.part(stored.page.dataoffsets[index] + band.start * shape.row_bytes, length)
            if len(data) < length:
                raise ImageError(CUT)
            rows = np.frombuffer(bits_in_order(stored.page, data), np.uint8).reshape(-1, shape.row_bytes)
            strip[band] = _samples(stored, rows)


def _fill_from_strips(stored: _Stored, target: Array, first: int) -> None:
    shape, height = stored.shape, len(target)
    group = max(1, _GROUP_BYTES // (shape.height * shape.row_bytes)) * shape.height
    for top in range(0, height, group):
        part = target[top : top + group]
        start = first + top // shape.height
        chunks = [stored.chunk(i) for i in range(start, start - (-len(part) // shape.height))]
        rows = np.frombuffer(decompress(stored.page, shape, chunks, len(part)), np.uint8).reshape(len(part), -1)
        for band in row_bands(len(part), shape.row_bytes, _BAND_BYTES):
            part[band] = _samples(stored, rows[band])


def _fill_from_tiles(stored: _Stored, target: Array, indices: range) -> None:
    shape = stored.shape
    group = max(1, _GROUP_BYTES // (shape.height * shape.row_bytes))
    across = -(-target.shape[1] // shape.width)
    for at in range(0, len(indices), group):
        chunks = [stored.chunk(i) for i in indices[at : at + group]]
        data = decompress(stored.page, shape, chunks, len(chunks) * shape.height)
        tiles = np.frombuffer(data, np.uint8).reshape(len(chunks), shape.height, -1)
        for k, tile in enumerate(tiles, at):
            y, x = k // across * shape.height, k % across * shape.width
            part = target[y : y + shape.height, x : x + shape.width]
            part[:] = _samples(stored, tile)[: part.shape[0], : part.shape[1]]


def _samples(stored: _Stored, rows: Array) -> Array:
    """Rows of bytes (array n x bytes, uint8) -> array n x W x S."""
    shape, dtype = stored.shape, stored.dtype
    form = (len(rows), shape.width, shape.samples)
    if shape.bits not in (8, 16, 32):
        return unpack_bits(rows, shape.bits, shape.width * shape.samples).reshape(form)
    if stored.predictor == _FLOAT_DIFFERENCES:
        return _floats_of_differences(rows, dtype.itemsize, form)
    if stored.predictor == _NO_PREDICTOR:
        return rows.view(dtype).reshape(form)
    integers = rows.view(f"{dtype.byteorder}u{dtype.itemsize}").astype(f"u{dtype.itemsize}").reshape(form)
    np.add.accumulate(integers, axis=1, dtype=integers.dtype, out=integers)
    return integers.view(dtype.newbyteorder("="))


def _floats_of_differences(rows: Array, size: int, form: tuple[int, int, int]) -> Array:
    """Bytes of a row's floats, all the most significant ones first, each minus its left neighbour (Tech Note 3)."""
    planes = np.add.accumulate(rows.reshape(form[0], -1, form[2]), axis=1, dtype=np.uint8)
    values = planes.reshape(form[0], size, -1).swapaxes(1, 2)
    return np.ascontiguousarray(values).view(f">f{size}").reshape(form)
