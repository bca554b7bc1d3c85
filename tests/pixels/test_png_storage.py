"""PNG as other programs store it: every depth, colour type, filter and interlacing, against libpng."""

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from file_samples import png_chunk, saved
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpline.errors import ImageError
from sharpline.pixels.codecs.png_rows import unfiltered
from sharpline.pixels.reading import read_image

PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
KINDS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16)]
KINDS += [(6, 8), (6, 16)]
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def filtered(rows, step, rng):
    """Rows of bytes as PNG filters them, of all five types by chance (ISO/IEC 15948, clause 9)."""
    out, above = [], np.zeros(rows.shape[1], int)
    for row in rows.astype(int):
        left, corner = (np.concatenate((np.zeros(step, int), r))[: len(row)] for r in (row, above))
        guess = left + above - corner
        a, b, c = abs(guess - left), abs(guess - above), abs(guess - corner)
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        kind = int(rng.integers(5))
        from_row = row - (0, left, above, (left + above) // 2, paeth)[kind]
        out.append(bytes([kind]) + (from_row & 255).astype(np.uint8).tobytes())
        above = row
    return b"".join(out)


def png(width, height, colour, depth, interlaced, clear=b"", seed=0):
    rng = np.random.default_rng(seed)
    bits, raw = SAMPLES[colour] * depth, b""
    for y, x, dy, dx in PASSES if interlaced else [(0, 0, 1, 1)]:
        w, h = len(range(x, width, dx)), len(range(y, height, dy))
        if w and h:
            noise = rng.integers(0, 256, (h, (w * bits + 7) // 8), dtype=np.uint8)
            raw += filtered(noise, max(1, bits // 8), rng)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))]
    if colour == 3:
        chunks.append((b"PLTE", rng.integers(0, 256, 3 << depth, dtype=np.uint8).tobytes()))
    if clear:
        chunks.append((b"tRNS", clear))
    data = zlib.compress(raw)
    chunks += [(b"IDAT", data[:7]), (b"IDAT", b""), (b"IDAT", data[7:]), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks)


def assert_as_libpng(folder, content):
    picture = read_image(saved(folder, "a.png", content))
    seen = imagecodecs.png_decode(content)
    planes = [picture.pixels] if picture.alpha is None else [picture.pixels, picture.alpha[:, :, None]]
    np.testing.assert_array_equal(np.concatenate(planes, axis=2), seen.reshape(*seen.shape[:2], -1))
    assert picture.pixels.dtype == seen.dtype


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_every_depth_colour_type_and_filter(tmp_path, colour, depth, interlaced):
    for size in ((1, 1), (3, 2), (5, 9), (33, 40)):
        assert_as_libpng(tmp_path, png(*size, colour, depth, interlaced))


def test_pictures_of_several_bands_of_rows(tmp_path):
    for colour, depth in ((2, 16), (6, 16), (0, 1)):
        assert_as_libpng(tmp_path, png(2500 * 16 // depth, 150, colour, depth, 0))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_transparent_colours_of_every_depth(tmp_path, depth):
    for value in (0, (1 << depth) - 1, 1 << depth & 0xFFFF):  # the last has bits above the depth, which do not count
        assert_as_libpng(tmp_path, png(40, 30, 0, depth, 0, struct.pack(">H", value)))
    if depth >= 8:
        assert_as_libpng(tmp_path, png(4, 3, 2, depth, 0, struct.pack(">3H", 1, 2, 3)))
    if depth <= 8:
        assert_as_libpng(tmp_path, png(40, 30, 3, depth, 1, bytes(range(1 << depth))[: 1 + (1 << depth) // 2]))


def test_a_transparent_sixteen_bit_colour_is_compared_in_sixteen_bits(tmp_path):
    content = png(4, 3, 2, 16, 0)
    corner = read_image(saved(tmp_path, "a.png", content)).pixels[0, 0]
    picture = read_image(saved(tmp_path, "b.png", png(4, 3, 2, 16, 0, struct.pack(">3H", *corner.tolist()))))
    assert (picture.alpha == 0).sum() == 1
    near = struct.pack(">3H", *(corner ^ 1).tolist())
    assert read_image(saved(tmp_path, "c.png", png(4, 3, 2, 16, 0, near))).alpha.min() == 65535


@given(st.sampled_from([1, 2, 3, 4, 6, 8]), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_filters_are_undone_below_any_row(step, width, height, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (height + 1, width * step), dtype=np.uint8)
    kept = np.frombuffer(filtered(rows, step, rng), np.uint8).reshape(height + 1, -1)
    np.testing.assert_array_equal(unfiltered(kept[1:], rows[0], step), rows[1:])


def test_a_wrong_header_filter_or_checksum_is_refused(tmp_path):
    whole = png(8, 8, 2, 8, 0)
    for at, value in ((24, 3), (25, 5), (26, 1), (27, 1), (28, 2)):  # depth, colour type and the three methods
        head = bytearray(whole[12:29])
        head[at - 12] = value
        content = whole[:8] + png_chunk(bytes(head[:4]), bytes(head[4:])) + whole[33:]
        with pytest.raises(ImageError, match="damaged \\(its IHDR\\)"):
            read_image(saved(tmp_path, "a.png", content))
    raw = b"".join(bytes([kind]) + bytes(24) for kind in (0, 1, 5, 0, 0, 0, 0, 0))
    good = zlib.compress(raw.replace(b"\5", b"\4"))
    for data, reason in (
        (zlib.compress(raw), "damaged"),
        (good[:-1] + bytes([good[-1] ^ 1]), "damaged"),
        (good[:-4], "cut off"),
        (zlib.compress(raw[:-1]), "cut off"),
        (b"", "cut off"),
    ):
        content = whole[:33] + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
        with pytest.raises(ImageError, match=reason):
            read_image(saved(tmp_path, "a.png", content))
    for data in (good + b"more", zlib.compress(raw.replace(b"\5", b"\4") + b"more")):  # libpng takes these too
        content = whole[:33] + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
        assert not read_image(saved(tmp_path, "a.png", content)).pixels.any()


def test_a_palette_is_needed_and_may_be_short(tmp_path):
    content = png(16, 16, 3, 8, 0)
    at = content.index(b"PLTE") - 4
    rest = content[at + 12 + 768 :]
    for palette in (None, b"", b"12", bytes(771)):
        chunk = b"" if palette is None else png_chunk(b"PLTE", palette)
        with pytest.raises(ImageError, match="its PLTE"):
            read_image(saved(tmp_path, "a.png", content[:at] + chunk + rest))
    short = read_image(saved(tmp_path, "a.png", content[:at] + png_chunk(b"PLTE", b"\1\2\3") + rest))
    assert set(np.unique(short.pixels)) <= {0, 1, 2, 3}
