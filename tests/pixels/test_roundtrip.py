"""Laws: what is written comes back."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sharpline.pixels.depth import convert_depth
from sharpline.pixels.exif import correct_exif, tags_of, with_dpi
from sharpline.pixels.picture import Metadata, Picture
from sharpline.pixels.reading import read_image
from sharpline.pixels.tiff_tags import ExifTags, exif_block, rational, short
from sharpline.pixels.writing import write_image

SHAPES = st.one_of(st.sampled_from([(1, 1), (1, 5000), (5000, 1)]), st.tuples(st.integers(1, 40), st.integers(1, 40)))
FLOATS = st.floats(0, 1, width=32)


@st.composite
def pictures(draw, dtypes):
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    height, width = draw(SHAPES)
    planes = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    flat = draw(hnp.arrays(dtype, 3, elements=FLOATS if dtype.kind == "f" else None))
    if draw(st.booleans()):
        array = rng.choice(flat, (height, width, planes))  # few values: runs and repeats
    elif dtype.kind == "f":
        array = rng.random((height, width, planes), dtype=np.float32)
    else:
        array = rng.integers(0, np.iinfo(dtype).max, (height, width, planes), dtype=dtype, endpoint=True)
    colours = 3 if planes >= 3 else 1
    alpha = array[:, :, -1].copy() if planes in (2, 4) else None
    return Picture(np.ascontiguousarray(array[:, :, :colours]), alpha)


def through_file(picture, format):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{format}"
        write_image(path, picture)
        return read_image(path)


def assert_same(a, b):
    assert a.pixels.dtype == b.pixels.dtype
    np.testing.assert_array_equal(a.pixels, b.pixels)
    assert (a.alpha is None) == (b.alpha is None)
    if a.alpha is not None:
        np.testing.assert_array_equal(a.alpha, b.alpha)


@given(pictures(["u1", "u2"]))
@settings(deadline=None, max_examples=60)
def test_png_is_exact(picture):
    assert_same(through_file(picture, "png"), picture)


@given(pictures(["u1", "u2", "f4"]))
@settings(deadline=None, max_examples=60)
def test_tiff_is_exact(picture):
    assert_same(through_file(picture, "tiff"), picture)


@given(pictures(["u1"]))
@settings(deadline=None, max_examples=40)
def test_webp_is_exact_and_rgb(picture):
    back = through_file(picture, "webp")
    np.testing.assert_array_equal(back.pixels, np.broadcast_to(picture.pixels, back.pixels.shape))
    if picture.transparent:  # WebP has no alpha where nothing is hidden
        np.testing.assert_array_equal(back.alpha, picture.alpha)


@given(pictures(["u1", "u2", "f4"]), st.sampled_from(["jpg", "avif"]))
@settings(deadline=None, max_examples=30)
def test_lossy_formats_keep_the_shape(picture, format):
    opaque = Picture(picture.pixels)
    assert through_file(opaque, format).size == opaque.size


def test_a_picture_beyond_one_compression_block_is_exact(tmp_path):
    rng = np.random.default_rng(0)
    deep = rng.integers(0, 65536, (1, 4000, 3), dtype=np.uint16) + np.arange(3000, dtype=np.uint16)[:, None, None]
    write_image(tmp_path / "a.png", deep)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, deep)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_come_back_from_deeper_types(dtype):
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype)[None]
    for deeper in (np.uint16, np.float32):
        np.testing.assert_array_equal(convert_depth(convert_depth(levels, deeper), dtype), levels)


def test_each_value_goes_to_the_nearest():
    deep = np.arange(65536).astype(np.uint16)[None]
    np.testing.assert_array_equal(convert_depth(deep, np.uint8), np.rint(deep / 257))
    fine = np.linspace(0, 1, 9999, dtype=np.float32)[None]
    np.testing.assert_allclose(convert_depth(fine, np.uint8), fine * 255, atol=0.5 + 1e-4)


@given(st.integers(1, 70_000), st.integers(1, 70_000), st.floats(1, 10_000), st.floats(1, 10_000))
def test_exif_corrections_can_be_read_back(width, height, x, y):
    from sharpline.pixels.exif import dpi_of, orientation_of

    block = exif_block(ExifTags([short(0x0112, 8)], [short(0xA002, 1), short(0xA003, 1)], []))
    corrected = correct_exif(with_dpi(block, (72, 72)), (width, height), (x, y))
    assert orientation_of(corrected) == 1
    assert [e.number for e in tags_of(corrected).exif] == [width, height]
    assert dpi_of(corrected) == pytest.approx((x, y), abs=1e-4)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_any_bytes_as_metadata_neither_stop_a_file_nor_come_back_wrong(junk, tail):
    """Metadata that a program made up: the picture is written, and can be read again."""
    exif = exif_block(ExifTags([rational(0x011A, 72.0)], [], [])) + tail
    for block in (junk, b"II*\0" + junk, exif):
        picture = Picture(np.zeros((3, 2, 3), np.uint8), None, Metadata(junk, block, junk, (1e9, -1.0)))
        for format in ("png", "jpg", "tiff"):
            assert through_file(picture, format).size == (2, 3)


def test_tifffile_s_note_of_the_shape_is_not_carried_to_another_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 7), np.uint8), metadata={})
    picture = read_image(tmp_path / "a.tif")
    write_image(tmp_path / "b.tif", Picture(np.zeros((10, 14, 1), np.uint8), metadata=picture.metadata))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert "ImageDescription" not in file.pages[0].tags
