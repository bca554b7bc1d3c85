"""What comes out of files of every kind."""

import io
import os
import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from file_samples import (
    ALPHA,
    DEEP,
    GREY,
    MAKER_NOTE,
    PHOTO,
    XMP,
    cmyk_profile,
    encoded,
    every_kind,
    exif_bytes,
    exif_with_thumbnail,
    png_chunk,
    saved,
    srgb_profile,
    tiff,
)
from PIL import Image, ImageCms

from sharpline.errors import ImageError
from sharpline.pixels.metadata import turned
from sharpline.pixels.reading import read_image

photo = Image.fromarray(PHOTO)


def read(folder, name, content, **options):
    return read_image(saved(folder, name, content), **options)


@pytest.mark.parametrize("name", sorted(every_kind()))
def test_every_kind_is_read_without_a_word_on_stderr(tmp_path, capfd, recwarn, name):
    picture = read(tmp_path, name, every_kind()[name])
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.flags.writeable
    assert sorted(picture.size) == [40, 50]
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


MODES = {
    "PNG": ["1", "L", "P", "RGB", "LA", "RGBA"],
    "TIFF": ["1", "L", "P", "RGB", "LA", "RGBA"],
    "GIF": ["1", "L", "P"],
    "BMP": ["1", "L", "P", "RGB", "RGBA"],
    "WEBP": ["RGB", "RGBA"],
}


@pytest.mark.parametrize(("format", "mode"), [(f, m) for f, modes in MODES.items() for m in modes])
def test_pixels_are_those_that_pillow_sees(tmp_path, format, mode):
    """Pillow is the independent witness for 8 bits."""
    image = Image.fromarray(np.dstack((PHOTO, ALPHA))).convert(mode)
    clear = {"transparency": bytes(range(200))} if (format, mode) == ("PNG", "P") else {}
    content = encoded(image, format, **({"lossless": True} if format == "WEBP" else clear))
    seen = Image.open(io.BytesIO(content)).convert("RGBA")
    picture = read(tmp_path, "x.bin", content)
    pixels = np.repeat(picture.pixels, 3, axis=2) if picture.pixels.shape[2] == 1 else picture.pixels
    np.testing.assert_array_equal(pixels, np.asarray(seen)[:, :, :3])
    if picture.alpha is None:
        assert np.asarray(seen)[:, :, 3].min() == 255
    else:
        np.testing.assert_array_equal(picture.alpha, np.asarray(seen)[:, :, 3])


def test_a_transparent_colour_becomes_alpha(tmp_path):
    corner = tuple(int(v) for v in PHOTO[0, 0])
    picture = read(tmp_path, "a.png", encoded(photo, "PNG", transparency=corner))
    np.testing.assert_array_equal(picture.alpha == 0, (corner == PHOTO).all(axis=2))
    grey = read(tmp_path, "b.png", encoded(GREY, "PNG", transparency=int(GREY[0, 0])))
    assert grey.pixels.shape[2] == 1
    np.testing.assert_array_equal(grey.alpha == 0, GREY[0, 0] == GREY)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_stay_sixteen_bits(tmp_path, suffix, channels):
    deep = np.dstack((DEEP, DEEP[:, :, 0]))[:, :, [3] if channels == 1 else slice(4 - channels, 4)]
    kind = {"photometric": "rgb" if channels > 2 else "minisblack", "metadata": None}
    if channels in (2, 4):
        kind |= {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
    stored = np.ascontiguousarray(deep).squeeze()
    content = imagecodecs.png_encode(stored) if suffix == "png" else tiff(stored, **kind)
    picture = read(tmp_path, "x." + suffix, content)
    assert picture.pixels.dtype == np.uint16
    colours = deep[:, :, :-1] if channels in (2, 4) else deep
    np.testing.assert_array_equal(picture.pixels, colours)
    if channels in (2, 4):
        np.testing.assert_array_equal(picture.alpha, deep[:, :, -1])


def test_odd_tiff_samples_fill_their_range(tmp_path):
    twelve = read(tmp_path, "a.tif", tiff(DEEP // 16, photometric="rgb", bitspersample=12))
    assert twelve.pixels.dtype == np.uint16
    np.testing.assert_allclose(twelve.pixels, DEEP // 16 * (65535 / 4095), atol=0.51)
    inverted = read(tmp_path, "b.tif", tiff(GREY, photometric="miniswhite"))
    np.testing.assert_array_equal(inverted.pixels[:, :, 0], 255 - GREY)
    half = read(tmp_path, "c.tif", tiff((PHOTO / 255).astype(np.float16), photometric="rgb"))
    assert half.pixels.dtype == np.float32
    planes = tiff(np.moveaxis(PHOTO, -1, 0).copy(), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read(tmp_path, "d.tif", planes).pixels, PHOTO)


@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits", "lzma", "zstd", "webp", "jpeg"])
def test_tiff_compressions(tmp_path, compression):
    level = {"compressionargs": {"level": 100}} if compression in ("webp", "jpeg") else {}
    picture = read(tmp_path, "a.tif", tiff(PHOTO, photometric="rgb", compression=compression, **level))
    assert np.abs(picture.pixels.astype(int) - PHOTO).mean() < (5 if level else 1e-9)


def test_interlaced_png(tmp_path):
    """Adam7, put together here because no writer at hand makes it."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [DEEP[y::dy, x::dx].astype(">u2") for y, x, dy, dx in passes]
    raw = b"".join(b"\0" + row.tobytes() for part in parts for row in part)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 50, 40, 16, 2, 0, 0, 1)), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks)
    np.testing.assert_array_equal(read(tmp_path, "a.png", content).pixels, DEEP)


def test_premultiplied_alpha_is_divided_out(tmp_path):
    full = np.dstack((DEEP.astype(np.uint16), np.full((40, 50), 32768, np.uint16)))
    full[:, :, :3] = np.rint(full[:, :, :3] * (32768 / 65535))
    picture = read(tmp_path, "a.tif", tiff(full, photometric="rgb", extrasamples=["assocalpha"]))
    np.testing.assert_allclose(picture.pixels.astype(int), DEEP.astype(int), atol=1)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_without_profile_is_as_pillow_converts(tmp_path, format):
    content = encoded(photo.convert("CMYK"), format)
    picture = read(tmp_path, "x", content)
    np.testing.assert_array_equal(picture.pixels, np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))
    assert np.abs(picture.pixels.astype(int) - PHOTO).mean() < 8  # and not inverted


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_goes_through_its_profile(tmp_path, format):
    content = encoded(photo.convert("CMYK"), format, icc_profile=cmyk_profile())
    picture = read(tmp_path, "x", content)
    srgb, inks = ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(cmyk_profile()))
    image = Image.open(io.BytesIO(content))
    expected = np.asarray(ImageCms.profileToProfile(image, inks, srgb, outputMode="RGB"))
    np.testing.assert_array_equal(picture.pixels, expected)
    assert (expected != np.asarray(image.convert("RGB"))).any()
    assert picture.metadata.icc is None


def test_a_broken_cmyk_profile_falls_back_to_the_plain_formula(tmp_path):
    icc = bytearray(srgb_profile())
    icc[16:20] = b"CMYK"
    content = encoded(photo.convert("CMYK"), "JPEG", icc_profile=bytes(icc))
    plain = encoded(photo.convert("CMYK"), "JPEG")
    np.testing.assert_array_equal(read(tmp_path, "a.jpg", content).pixels, read(tmp_path, "b.jpg", plain).pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_undoes_what_a_camera_did(orientation):
    """A camera stores the upright picture turned by the inverse, as Pillow's exif_transpose knows it."""
    back = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, 1)
    np.testing.assert_array_equal(turned(turned(PHOTO, back), orientation), PHOTO)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
def test_pictures_come_upright_and_say_so(tmp_path, orientation, format):
    from PIL import ImageOps

    xmp = XMP.replace(b'Orientation="6"', b'Orientation="%d"' % orientation)
    exif = b"Exif\0\0" + exif_bytes(orientation, xmp=xmp if format == "TIFF" else None)
    content = encoded(photo, format, exif=exif, xmp=xmp, **({"lossless": True} if format == "WEBP" else {}))
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    picture = read(tmp_path, "x", content)
    np.testing.assert_array_equal(picture.pixels, upright)
    exif = Image.Exif()
    exif.load(picture.metadata.exif)
    assert exif.get(0x0112, 1) == 1
    assert (exif.get_ifd(0x8769)[0xA002], exif.get_ifd(0x8769)[0xA003]) == picture.size
    if format != "PNG":  # Pillow's PNG writer has no option for XMP
        assert b'tiff:Orientation="1"' in picture.metadata.xmp
        assert b'tiff:ImageWidth="%d"' % picture.size[0] in picture.metadata.xmp


def test_orientation_in_xmp_alone_counts_as_for_pillow(tmp_path):
    assert read(tmp_path, "x.webp", encoded(photo, "WEBP", xmp=XMP)).size == (40, 50)


def test_metadata_of_a_png_are_read(tmp_path):
    plain = encoded(photo, "PNG", icc_profile=srgb_profile(), exif=exif_bytes(), dpi=(300, 150))
    text = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))
    metadata = read(tmp_path, "a.png", plain[:33] + text + plain[33:]).metadata
    assert metadata.icc == srgb_profile()
    assert metadata.dpi == pytest.approx((300, 150), abs=0.02)
    assert b"xmpmeta" in metadata.xmp
    assert MAKER_NOTE in metadata.exif


def test_the_exif_thumbnail_is_dropped_with_its_bytes(tmp_path):
    secret = b"what was cropped away" * 9
    content = encoded(photo, "JPEG", exif=b"Exif\0\0" + exif_with_thumbnail(secret))
    exif = read(tmp_path, "a.jpg", content).metadata.exif
    assert secret[:21] not in exif
    assert len(exif) < len(exif_with_thumbnail(secret)) - len(secret) + 1
    reread = Image.Exif()
    reread.load(exif)
    assert dict(reread) == {0x0112: 1}
    assert not reread.get_ifd(1)  # the thumbnail's directory


def test_damaged_metadata_are_left_out_and_the_picture_is_read(tmp_path, capfd, recwarn):
    plain = encoded(photo, "PNG")
    for chunk in (
        png_chunk(b"iCCP", b"x\0\0not zlib"),
        png_chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff" + bytes(9)),
        png_chunk(b"tRNS", b"1"),
        png_chunk(b"gAMA", b"1"),
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0"),
    ):
        picture = read(tmp_path, "a.png", plain[:33] + chunk + plain[33:])
        np.testing.assert_array_equal(picture.pixels, PHOTO)
        assert picture.metadata.icc is picture.metadata.exif is picture.metadata.xmp is None
    read(tmp_path, "a.jpg", encoded(photo, "JPEG", exif=b"Exif\0\0II*\0garbage garbage", icc_profile=b"no"))
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_a_profile_of_another_colour_space_is_not_kept(tmp_path):
    assert read(tmp_path, "a.jpg", encoded(GREY, "JPEG", icc_profile=srgb_profile())).metadata.icc is None


def test_resolution_comes_from_exif_where_the_file_has_no_place_for_it(tmp_path):
    exif = Image.Exif()
    exif[0x011A], exif[0x011B], exif[0x0128] = 240.0, 120.0, 2
    assert read(tmp_path, "a.webp", encoded(photo, "WEBP", exif=exif.tobytes())).metadata.dpi == (240, 120)
    exif[0x0112] = 6
    assert read(tmp_path, "a.webp", encoded(photo, "WEBP", exif=exif.tobytes())).metadata.dpi == (120, 240)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_more_than_one_picture_is_refused_with_the_count(tmp_path, format):
    others = [Image.fromarray(np.roll(PHOTO, k, axis=0)) for k in (1, 2)]
    content = encoded(photo, format, save_all=True, append_images=others)
    with pytest.raises(ImageError, match=r"it has 3 (frames|pages)"):
        read(tmp_path, "x", content)


def test_stacks_that_hide_behind_one_directory_are_refused(tmp_path):
    stack = np.stack([GREY] * 5)
    for options in ({}, {"imagej": True}, {"volumetric": True}):
        with pytest.raises(ImageError, match="it has 5"):
            read(tmp_path, "x.tif", tiff(stack, photometric="minisblack", **options))


def test_thumbnails_and_overviews_do_not_count_as_pages(tmp_path):
    for subifds in (0, 1):
        out = io.BytesIO()
        with tifffile.TiffWriter(out) as writer:
            writer.write(PHOTO, photometric="rgb", subifds=subifds)
            writer.write(PHOTO[::2, ::2], photometric="rgb", subfiletype=1)
        np.testing.assert_array_equal(read(tmp_path, "x.tif", out.getvalue()).pixels, PHOTO)


def test_of_a_multi_picture_jpeg_the_first_is_read(tmp_path):
    content = encoded(photo, "MPO", save_all=True, append_images=[Image.fromarray(PHOTO[::-1].copy())])
    assert np.abs(read(tmp_path, "x.mpo", content).pixels.astype(int) - PHOTO).mean() < 10


def test_one_frame_of_an_animation_format_is_a_picture(tmp_path):
    assert read(tmp_path, "x.png", encoded(photo, "PNG", save_all=True)).size == (50, 40)


@pytest.mark.parametrize("dtype", ["u4", "i1", "i2", "i4", "f8", "c8", "c16"])
def test_sample_types_that_are_not_read_are_named(tmp_path, dtype):
    with pytest.raises(ImageError, match=r"its samples are .*convert it to uint16 or float32"):
        read(tmp_path, "x.tif", tiff(GREY.astype(dtype)))


def test_floats_must_be_finite_and_in_range(tmp_path):
    bad = (PHOTO / 255).astype(np.float32)
    bad[0, 0, 0], bad[1, 1] = np.nan, np.inf
    with pytest.raises(ImageError, match=r"4 of its 6,000 values are NaN or infinite"):
        read(tmp_path, "x.tif", tiff(bad, photometric="rgb"))
    with pytest.raises(ImageError, match=r"its values go from 0 to 2\.5"):
        read(tmp_path, "x.tif", tiff(np.array([[0, 2.5]], np.float32)))


def test_the_reader_starts_without_torch():
    code = "import sys, sharpline.pixels.reading; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=False).returncode == 0
