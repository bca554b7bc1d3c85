"""TIFF as other programs store it: strips and tiles, compressions, predictors, bit depths, byte and bit orders."""

import io
import struct
import subprocess
import sys
import textwrap
import time

import imagecodecs
import numpy as np
import pytest
import tifffile
from file_samples import GREY, PHOTO, encoded, saved, tiff
from PIL import Image
from skimage import data

from sharpline.errors import ImageError
from sharpline.pixels.codecs.bits import unpack_bits
from sharpline.pixels.reading import read_image
from sharpline.pixels.tiff_tags import long, short, write_directory

WIDE = np.ascontiguousarray(data.astronaut()[:77, :101])
LAYOUTS = {
    "one strip": {"rowsperstrip": 77},
    "strips": {"rowsperstrip": 9},
    "rows": {"rowsperstrip": 1},
    "tiles": {"tile": (16, 32)},
    "planes": {"planarconfig": "separate", "rowsperstrip": 9},
    "tiled planes": {"planarconfig": "separate", "tile": (32, 16)},
}
BITS_REVERSED = bytes(int(f"{b:08b}"[::-1], 2) for b in range(256))


def deep(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (WIDE / 255).astype(dtype)
    noise = np.random.default_rng(3).integers(0, 256, WIDE.shape)
    return WIDE if dtype.itemsize == 1 else (WIDE.astype(int) * 256 + noise).astype(dtype)


def read(folder, content):
    return read_image(saved(folder, "a.tif", content)).pixels


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "lzma", "zstd"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f2", "f4"])
def test_samples_are_exact(tmp_path, compression, dtype, layout):
    array, kind = deep(dtype), LAYOUTS[layout]
    moved = np.moveaxis(array, -1, 0) if "planarconfig" in kind else array
    predictors = [False] if compression in (None, "packbits") else [False, True]
    for predictor in predictors:
        for order in "<>":
            content = tiff(
                moved, photometric="rgb", compression=compression, predictor=predictor, byteorder=order, **kind
            )
            np.testing.assert_array_equal(read(tmp_path, content), array)


def test_float_bits_as_differences_of_integers(tmp_path):
    """Predictor 2 on floats, as libtiff knows it, made here because no writer at hand makes it."""
    array = deep("f4")[:, :, 0].copy()
    bits = array.view("u4")
    bits[:, 1:] -= bits[:, :-1].copy()
    content = tiff_of(imagecodecs.lzw_encode(bits.tobytes()), 101, 77, 32, 5, (317, 2), (339, 3))
    np.testing.assert_array_equal(read(tmp_path, content)[:, :, 0], deep("f4")[:, :, 0])


def tiff_of(strips, width, height, bits, compression, *tags):
    """A grey picture of the given strips (or one)."""
    strips = strips if isinstance(strips, list) else [strips]
    ends = np.cumsum([8, *map(len, strips)]).tolist()
    at = ends[-1] + ends[-1] % 2
    usual = [(256, width), (257, height), (258, bits), (259, compression), (262, 1), (277, 1), (278, height)]
    entries = [short(tag, value) for tag, value in dict([*usual, *tags]).items()]
    entries += [long(273, *ends[:-1]), long(279, *map(len, strips))]
    head = b"II*\0" + struct.pack("<I", at)
    return b"".join((head, *strips, bytes(at - ends[-1]), write_directory(entries, at)))


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 7, 9, 10, 12, 14, 15, 16])
@pytest.mark.parametrize("compression", [1, 5, 8])
def test_packed_bits_fill_their_range(tmp_path, bits, compression):
    values = np.random.default_rng(bits).integers(0, 1 << bits, (6, 11))
    text = ["".join(f"{v:0{bits}b}" for v in row) for row in values.tolist()]
    rows = [int(t.ljust(-(-len(t) // 8) * 8, "0"), 2).to_bytes(-(-len(t) // 8), "big") for t in text]
    packed = b"".join(rows) if bits != 16 else values.astype("<u2").tobytes()
    encode = {1: bytes, 5: imagecodecs.lzw_encode, 8: imagecodecs.zlib_encode}[compression]
    top = 255 if bits <= 8 else 65535
    for order in (1, 2):
        body = bytes(encode(packed)).translate(BITS_REVERSED) if order == 2 else bytes(encode(packed))
        pixels = read(tmp_path, tiff_of(body, 11, 6, bits, compression, (266, order)))
        np.testing.assert_array_equal(pixels[:, :, 0], np.rint(values * top / ((1 << bits) - 1)))


def test_unpacked_bits_are_those_that_numpy_counts():
    rows = np.random.default_rng(0).integers(0, 256, (3, 30), dtype=np.uint8)
    for bits in range(1, 17):
        whole = [int.from_bytes(row.tobytes(), "big") for row in rows]
        expected = [[w >> (240 - bits * (k + 1)) & (1 << bits) - 1 for k in range(15)] for w in whole]
        np.testing.assert_array_equal(unpack_bits(rows, bits, 15), expected)


@pytest.mark.parametrize("compression", ["tiff_ccitt", "group3", "group4"])
def test_fax_pages(tmp_path, compression):
    page = Image.fromarray(data.page()).convert("1")
    options = [{}, {292: 1}] if compression == "group3" else [{}]
    for tags in options:
        for photometric in ({}, {262: 0}):
            content = encoded(page, "TIFF", compression=compression, tiffinfo=tags | photometric, strip_size=2000)
            expected = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
            np.testing.assert_array_equal(read(tmp_path, content)[:, :, 0], expected)


@pytest.mark.parametrize("kind", ["ycbcr", "rgb", "grey", "cmyk", "planes"])
@pytest.mark.parametrize("tile", [None, (32, 48)])
def test_jpeg_inside_is_as_tifffile_decodes_it(tmp_path, kind, tile):
    array = np.dstack((WIDE, 255 - WIDE[:, :, 0])) if kind == "cmyk" else WIDE
    options = {
        "ycbcr": {"photometric": "ycbcr", "subsampling": (2, 2)},
        "rgb": {"photometric": "rgb", "compressionargs": {"outcolorspace": "rgb"}},
        "grey": {"photometric": "minisblack"},
        "cmyk": {"photometric": "separated"},
        "planes": {"photometric": "rgb", "planarconfig": "separate"},
    }[kind]
    array = {"grey": array[:, :, 0], "planes": np.moveaxis(array, -1, 0)}.get(kind, array)
    content = tiff(array, compression="jpeg", tile=tile, **({} if tile else {"rowsperstrip": 32}), **options)
    expected = tifffile.imread(io.BytesIO(content))
    if kind == "cmyk":
        expected = np.asarray(Image.fromarray(expected, "CMYK").convert("RGB"))
    expected = np.moveaxis(expected, 0, -1) if kind == "planes" else expected
    np.testing.assert_array_equal(read(tmp_path, content), expected.reshape(77, 101, -1))


def test_jpeg_with_shared_tables_is_as_pillow_decodes_it(tmp_path):
    for image in (Image.fromarray(WIDE), Image.fromarray(WIDE[:, :, 0]), Image.fromarray(WIDE).convert("CMYK")):
        content = encoded(image, "TIFF", compression="jpeg", strip_size=4000)
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            assert file.pages[0].jpegtables
            assert len(file.pages[0].dataoffsets) > 1
        expected = np.asarray(Image.open(io.BytesIO(content)).convert("L" if image.mode == "L" else "RGB"))
        np.testing.assert_array_equal(read(tmp_path, content), expected.reshape(77, 101, -1))


def test_webp_inside_keeps_alpha_that_hides_nothing(tmp_path):
    array = np.dstack((WIDE, np.full(WIDE.shape[:2], 255, np.uint8)))
    for alpha in (array[:, :, 3], WIDE[:, :, 1]):
        array[:, :, 3] = alpha
        options = {"compressionargs": {"lossless": True}, "photometric": "rgb", "extrasamples": ["unassalpha"]}
        content = tiff(array, compression="webp", tile=(32, 32), **options)
        picture = read_image(saved(tmp_path, "a.tif", content))
        np.testing.assert_array_equal(picture.alpha, alpha)
        visible = alpha > 0
        np.testing.assert_array_equal(picture.pixels[visible], WIDE[visible])


@pytest.mark.parametrize("compression", [8, 34925])
def test_a_stream_must_end_where_the_strip_does_with_the_right_checksum(tmp_path, compression):
    encode = {8: imagecodecs.zlib_encode, 34925: imagecodecs.lzma_encode}[compression]
    raw = PHOTO[:, :, 0].tobytes()
    good = bytes(encode(raw))
    checksum = len(good) - (1 if compression == 8 else 14)
    wrong = good[:checksum] + bytes([good[checksum] ^ 1]) + good[checksum + 1 :]
    assert read(tmp_path, tiff_of(good, 50, 40, 8, compression)).tobytes() == raw
    for body in (wrong, good[:-3], bytes(encode(raw[:-1])), bytes(encode(raw + b"0"))):
        with pytest.raises(ImageError, match=r"damaged|cut off"):
            read(tmp_path, tiff_of(body, 50, 40, 8, compression))
    strips = [bytes(encode(raw[:1500])), bytes(encode(raw[1500:] + bytes(1000)))]
    padded = tiff_of(strips, 50, 40, 8, compression, (278, 30))  # libtiff takes a last strip as high as the others
    assert read(tmp_path, padded).tobytes() == raw


def test_rgb_inside_is_not_taken_for_ycbcr(tmp_path):
    """As libtiff writes it: no marker says that the components are RGB, only the TIFF's tag."""
    jpeg = encoded(Image.fromarray(PHOTO), "JPEG", keep_rgb=True, quality=100)
    at = jpeg.index(b"\xff\xee")
    bare = bytearray(jpeg[:at] + jpeg[at + 16 :])
    for marker, first, step in ((b"\xff\xc0", 10, 3), (b"\xff\xda", 5, 2)):
        for k in range(3):
            bare[bare.index(marker) + first + step * k] = k + 1  # their names: R, G and B before
    content = tiff_of(bytes(bare), 50, 40, 8, 7, (262, 2), (277, 3))
    assert np.abs(read(tmp_path, content).astype(int) - PHOTO).max() <= 3


@pytest.mark.parametrize("compression", ["tiff_lzw", "group4", "zstd", "packbits", "jpeg"])
def test_damage_is_one_line_and_nothing_on_stderr(tmp_path, capfd, compression):
    image = Image.fromarray(WIDE).convert("1") if compression == "group4" else Image.fromarray(WIDE)
    content = encoded(image, "TIFF", compression=compression)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        start, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    messages = []
    for at in range(start + 4, start + count, max(1, count // 40)):
        broken = bytearray(content)
        broken[at : at + 9] = b"\xff" * 9
        try:
            read(tmp_path, bytes(broken))
        except ImageError as error:
            messages.append(str(error))
    assert "\n" not in "".join(messages)
    assert messages or compression in ("group4", "packbits")  # these may not show it
    assert capfd.readouterr() == ("", "")


def test_huge_tiles_of_a_small_picture_are_refused_at_once(tmp_path):
    plain = tiff(GREY, tile=(16, 16), compression="lzw", metadata=None)
    at = struct.unpack_from("<I", plain, 4)[0] + 2
    content = bytearray(plain)
    while struct.unpack_from("<H", content, at)[0] <= 323:
        if struct.unpack_from("<H", content, at)[0] in (322, 323):
            struct.pack_into("<HII", content, at + 2, 4, 1, 60_000)
        at += 12
    started = time.perf_counter()
    with pytest.raises(ImageError, match="--max-pixels"):
        read(tmp_path, bytes(content))
    assert time.perf_counter() - started < 0.5


def test_the_same_strip_told_over_and_over_is_refused(tmp_path):
    content = bytearray(tiff(np.zeros((5000, 16), np.uint8), rowsperstrip=1, compression="deflate", metadata=None))
    content += bytes(1 << 16)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        counts = file.pages[0].tags[279]
    struct.pack_into("<5000H" if counts.dtype == 3 else "<5000I", content, counts.valueoffset, *[60_000] * 5000)
    with pytest.raises(ImageError, match="cut off or damaged"):
        read(tmp_path, bytes(content))


def test_what_is_not_read_is_named(tmp_path):
    lzw = imagecodecs.lzw_encode(bytes(66))
    for content, reason in (
        (tiff_of(lzw, 11, 6, 8, 5, (317, 7)), "predictor 7"),
        (tiff_of(lzw, 11, 6, 4, 5, (317, 2)), "predictor 2 for 4 bits"),
        (tiff_of(lzw, 11, 6, 12, 7), "JPEG"),
        (tiff_of(lzw, 11, 6, 8, 34712), "compression .JPEG"),
    ):
        with pytest.raises(ImageError, match=reason):
            read(tmp_path, content)


@pytest.mark.slow
def test_one_strip_larger_than_pillow_s_limit_is_read_silently(tmp_path, recwarn):
    array = np.zeros((9000, 7000, 3), np.uint8)  # 189 million bytes; Pillow takes no more than 179 million pixels
    array[::7, ::5] = 200
    content = tiff(array, photometric="rgb", compression="lzw", rowsperstrip=9000)
    np.testing.assert_array_equal(read(tmp_path, content), array)
    assert not recwarn.list


def test_neither_reading_nor_writing_needs_imagecodecs(tmp_path):
    """A plain install does not have it; here it is, so it is hidden."""
    from file_samples import every_kind

    kinds = every_kind() | {"webp.tif": tiff(PHOTO, photometric="rgb", compression="webp")}
    for name, content in kinds.items():
        picture = read_image(saved(tmp_path, name, content))
        np.save(tmp_path / f"{name}.npy", picture.pixels)
    code = textwrap.dedent(f"""
        import sys
        sys.modules["imagecodecs"] = None
        from pathlib import Path
        import numpy as np
        from sharpline.pixels.reading import read_image
        from sharpline.pixels.writing import write_image
        folder, seen = Path({str(tmp_path)!r}), 0
        for saved in folder.glob("*.npy"):
            picture = read_image(saved.with_suffix(""))
            np.testing.assert_array_equal(picture.pixels, np.load(saved))
            for format in ("png", "tiff", "webp", "jpg", "avif"):
                write_image(folder / ("written." + format), picture.pixels, overwrite=True)
                back = read_image(folder / ("written." + format)).pixels
                if format in ("png", "tiff") and picture.pixels.dtype.kind == "u":
                    np.testing.assert_array_equal(back, picture.pixels)
            seen += 1
        print(seen)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{len(kinds)}\n", "")
