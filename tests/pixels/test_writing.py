"""What is in the files that are written, as other programs see it, and what is left behind when it fails."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading

import imagecodecs
import numpy as np
import pytest
import tifffile
from file_samples import ALPHA, DEEP, GREY, MAKER_NOTE, PHOTO, XMP, exif_bytes, exif_with_thumbnail, srgb_profile
from PIL import Image

from sharpline.errors import ImageError, UsageError
from sharpline.pixels import writing
from sharpline.pixels.codecs import jpeg_writing
from sharpline.pixels.formats import INPUT_SUFFIXES, WRITTEN_FORMATS, check_writable_format, format_of
from sharpline.pixels.picture import Metadata, Picture
from sharpline.pixels.reading import read_image
from sharpline.pixels.writing import write_image

FORMATS = sorted(WRITTEN_FORMATS)
FULL = Metadata(srgb_profile(), exif_bytes(), XMP, (300.0, 300.0))


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("format", FORMATS)
def test_metadata_are_where_other_programs_look(tmp_path, format):
    big = Picture(np.repeat(np.repeat(PHOTO, 4, axis=0), 4, axis=1), None, FULL)
    path = tmp_path / f"a.{format}"
    write_image(path, big)
    with Image.open(path) as image:
        image.load()
        assert image.size == (200, 160)
        assert image.info["icc_profile"] == srgb_profile()
        exif = image.getexif()
        assert exif[0x010F] == "Sharp & Sons"
        assert exif.get(0x0112, 1) == 1
        inner = exif.get_ifd(0x8769)
        assert (inner[0xA002], inner[0xA003]) == (200, 160)
        assert inner[0x927C] == MAKER_NOTE
        assert exif.get_ifd(0x8825)[2] == (47.0, 22.0, 30.0)
        xmp = image.info["xmp"] if format != "tiff" else image.tag_v2[700]
        if format in ("webp", "avif"):
            assert (float(exif[0x011A]), float(exif[0x011B]), exif[0x0128]) == (300, 300, 2)
        else:
            assert [float(d) for d in image.info["dpi"]] == pytest.approx([300, 300], abs=0.01)
    assert b'tiff:Orientation="1"' in xmp
    assert b'tiff:ImageWidth="200"' in xmp
    assert b">200</exif:PixelXDimension>" in xmp


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
def test_metadata_survive_from_any_format_to_any_other(tmp_path, first, second):
    write_image(tmp_path / f"a.{first}", Picture(PHOTO, None, FULL))
    once = read_image(tmp_path / f"a.{first}")
    write_image(tmp_path / f"b.{second}", once)
    metadata = read_image(tmp_path / f"b.{second}").metadata
    assert metadata.icc == srgb_profile()
    assert metadata.dpi == pytest.approx((300, 300), abs=0.01)
    assert metadata.xmp == once.metadata.xmp
    assert MAKER_NOTE in metadata.exif
    assert b"Sharp & Sons" in metadata.exif


@pytest.mark.parametrize("format", FORMATS)
def test_no_thumbnail_and_no_old_orientation_is_written(tmp_path, format):
    exif = exif_with_thumbnail(b"what was cropped away").replace(b"\1\x12\0\3\0\0\0\1\0\1", b"\1\x12\0\3\0\0\0\1\0\6")
    write_image(tmp_path / f"a.{format}", Picture(PHOTO, None, Metadata(exif=exif)))
    assert b"cropped away" not in (tmp_path / f"a.{format}").read_bytes()
    with Image.open(tmp_path / f"a.{format}") as image:
        assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("format", FORMATS)
def test_a_profile_that_contradicts_the_pixels_is_never_written(tmp_path, format):
    grey_icc = bytearray(srgb_profile())
    grey_icc[16:20] = b"GRAY"
    for pixels, icc in (
        (GREY[:, :, None], bytes(grey_icc)),
        (GREY[:, :, None], srgb_profile()),
        (PHOTO, bytes(grey_icc)),
    ):
        write_image(tmp_path / f"a.{format}", Picture(pixels, None, Metadata(icc=icc)), overwrite=True)
        with Image.open(tmp_path / f"a.{format}") as image:
            written = image.info.get("icc_profile")
            assert written is None or written[16:20] == (b"GRAY" if image.mode == "L" else b"RGB ")


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_sixteen_bits_are_sixteen_bits_for_others(tmp_path, format):
    path = tmp_path / f"a.{format}"
    alpha = DEEP[:, :, 1]
    write_image(path, Picture(DEEP, alpha, FULL))
    seen = imagecodecs.png_decode(path.read_bytes()) if format == "png" else tifffile.imread(path)
    np.testing.assert_array_equal(seen, np.dstack((DEEP, alpha)))


def test_a_smooth_sixteen_bit_ramp_keeps_its_levels(tmp_path):
    ramp = np.tile(np.arange(0, 65536, 13, dtype=np.uint16), (4, 1))
    write_image(tmp_path / "a.png", ramp)
    assert len(np.unique(read_image(tmp_path / "a.png").pixels)) == len(np.unique(ramp)) > 4000


@pytest.mark.parametrize("format", ["jpg", "webp", "avif"])
def test_deeper_pixels_are_rounded_to_eight_bits(tmp_path, format):
    flat = np.full((32, 32, 3), 128 * 257 + 128, np.uint16)  # just below half a level
    write_image(tmp_path / f"a.{format}", flat)
    assert np.abs(read_image(tmp_path / f"a.{format}").pixels.astype(int) - 128).max() <= 1


def test_floats_are_clipped_and_rounded_and_nan_is_refused(tmp_path):
    write_image(tmp_path / "a.png", np.array([[-1, 0.5, 2]], np.float32))
    assert read_image(tmp_path / "a.png").pixels.ravel().tolist() == [0, 32768, 65535]
    with pytest.raises(ImageError, match="2 of 3 values are NaN"):
        write_image(tmp_path / "b.png", np.array([[np.nan, 0.5, np.inf]], np.float32))
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3), np.float64), np.zeros((0, 3), np.uint8), np.zeros(3, np.uint8)],
)
def test_arrays_that_are_no_images_are_refused(tmp_path, array):
    with pytest.raises(ImageError, match=r"picture is empty|an image is an array"):
        write_image(tmp_path / "a.png", array)
    assert names(tmp_path) == []


def test_limits_of_formats_are_told_before_encoding():
    with pytest.raises(ImageError, match=r"16383 pixels a side; choose png, jpg, avif, tiff"):
        check_writable_format("webp", 16_384, 10, has_alpha=False)
    with pytest.raises(ImageError, match=r"65535 pixels a side; choose png, tiff"):
        check_writable_format("jpg", 10, 65_536, has_alpha=False)
    with pytest.raises(ImageError, match=r"cannot hold transparency; choose png, webp, avif, tiff"):
        check_writable_format("jpg", 10, 10, has_alpha=True)
    with pytest.raises(UsageError, match="bmp"):
        check_writable_format("bmp", 10, 10, has_alpha=True)


def test_alpha_that_hides_nothing_does_not_stop_a_jpeg(tmp_path):
    write_image(tmp_path / "a.jpg", Picture(PHOTO, np.full(GREY.shape, 255, np.uint8)))
    with pytest.raises(ImageError, match="transparency"):
        write_image(tmp_path / "b.jpg", Picture(PHOTO, ALPHA))
    assert names(tmp_path) == ["a.jpg"]


def test_formats_by_name_and_suffix(tmp_path):
    assert [format_of(f"x{s}").name for s in (".JPG", ".jpeg", ".tif")] == ["jpg", "jpg", "tiff"]
    assert {".png", ".gif", ".bmp", ".tif"} <= INPUT_SUFFIXES
    write_image(tmp_path / "picture", GREY, format="jpeg")
    assert (tmp_path / "picture").read_bytes()[:3] == b"\xff\xd8\xff"
    for name in ("a.xyz", "noext"):
        with pytest.raises(UsageError, match="choose one of png, jpg"):
            write_image(tmp_path / name, GREY)


def test_quality_is_for_lossy_formats(tmp_path):
    for format in ("jpg", "webp", "avif"):
        for quality in (20, 95):
            write_image(tmp_path / f"{quality}.{format}", PHOTO, quality=quality)
        assert (tmp_path / f"20.{format}").stat().st_size < (tmp_path / f"95.{format}").stat().st_size
    with pytest.raises(UsageError, match="lossless"):
        write_image(tmp_path / "a.png", PHOTO, quality=90)
    with pytest.raises(UsageError, match="1 to 100"):
        write_image(tmp_path / "a.jpg", PHOTO, quality=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_of_joined_bands_has_the_pixels_of_one_piece(tmp_path, monkeypatch, channels):
    """Restart markers only begin the count of DC differences anew."""
    pixels = np.random.default_rng(0).integers(0, 256, (8 * 26 + 3, 125, channels), dtype=np.uint8)
    write_image(tmp_path / "whole.jpg", pixels)
    monkeypatch.setattr(jpeg_writing, "_AT_ONCE", 0)
    monkeypatch.setattr(jpeg_writing, "_LONGEST_INTERVAL", 16 * 2 + 5)  # two rows of 16 blocks a band, 14 bands
    write_image(tmp_path / "bands.jpg", pixels)
    assert (tmp_path / "bands.jpg").read_bytes().count(b"\xff\xd7") == 1
    for read in (lambda p: np.asarray(Image.open(p)), lambda p: read_image(p).pixels):
        np.testing.assert_array_equal(read(tmp_path / "bands.jpg"), read(tmp_path / "whole.jpg"))


@pytest.mark.parametrize("quality", [75, 95])
def test_a_jpeg_is_as_good_as_pillow_s(tmp_path, quality):
    write_image(tmp_path / "a.jpg", PHOTO, quality=quality)
    Image.fromarray(PHOTO).save(tmp_path / "b.jpg", quality=quality, subsampling=0)
    ours, theirs = (read_image(tmp_path / name).pixels.astype(int) for name in ("a.jpg", "b.jpg"))
    assert np.abs(ours - PHOTO).mean() <= np.abs(theirs - PHOTO).mean()


def test_an_existing_file_is_kept_unless_told(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    with pytest.raises(ImageError, match=r"the file exists; choose another name or pass --overwrite"):
        write_image(path, GREY)
    assert path.read_bytes() == b"precious"
    write_image(path, GREY, overwrite=True)
    assert names(tmp_path) == ["a.png"]
    assert read_image(path).size == (50, 40)


def test_of_two_writers_of_one_name_one_fails_and_the_file_is_whole(tmp_path):
    path, errors = tmp_path / "a.png", []

    def write(value):
        try:
            write_image(path, np.full((200, 200), value, np.uint8))
        except ImageError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(v,)) for v in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(errors) == 7
    assert len(np.unique(read_image(path).pixels)) == 1
    assert names(tmp_path) == ["a.png"]


def test_where_there_are_no_hard_links_the_name_is_still_taken_once(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    write_image(tmp_path / "a.png", GREY)
    with pytest.raises(ImageError, match="exists"):
        write_image(tmp_path / "a.png", GREY)
    assert names(tmp_path) == ["a.png"]


def test_a_link_is_written_through(tmp_path):
    write_image(tmp_path / "real.png", GREY)
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    write_image(tmp_path / "link.png", PHOTO, overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    assert read_image(tmp_path / "real.png").pixels.shape[2] == 3


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_leaves_nothing_and_one_line(tmp_path, monkeypatch, format, code):
    def fail(file, picture, quality):
        file.write(b"half of it")
        raise OSError(code, os.strerror(code))

    monkeypatch.setitem(writing._WRITERS, format, fail)
    with pytest.raises(ImageError, match=rf"a\.{format}: (the disk|cannot be written)") as caught:
        write_image(tmp_path / f"a.{format}", GREY)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_size_limit_met_half_way_leaves_nothing(tmp_path, format):
    """The operating system itself refuses, as a full disk does, in a process of its own."""
    code = textwrap.dedent(f"""
        import resource, numpy as np
        from sharpline.pixels.writing import write_image
        from sharpline.errors import ImageError
        noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            write_image({str(tmp_path / f"a.{format}")!r}, noise)
        except ImageError as error:
            print(error)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert names(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ImageError, match="permission denied"):
        write_image(tmp_path / "a.png", GREY)


def test_folders_devices_and_missing_folders_are_refused(tmp_path):
    (tmp_path / "d.png").mkdir()
    os.mkfifo(tmp_path / "f.png")
    for name, reason in (("d.png", "folder or device"), ("f.png", "folder or device"), ("no/a.png", "make it first")):
        with pytest.raises(ImageError, match=reason):
            write_image(tmp_path / name, GREY, overwrite=True)


def test_killed_half_way_nothing_stands_under_the_name(tmp_path):
    code = textwrap.dedent(f"""
        import os, signal, numpy as np
        from sharpline.pixels import writing
        def half(file, picture, quality):
            file.write(b"half"); file.flush(); os.kill(os.getpid(), signal.SIGKILL)
        writing._WRITERS["png"] = half
        writing.write_image({str(tmp_path / "a.png")!r}, np.zeros((9, 9), np.uint8))
    """)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "a.png").exists()
    write_image(tmp_path / "a.png", GREY)  # and the rest of it is in nobody's way


def test_long_exif_or_xmp_does_not_stop_a_jpeg(tmp_path):
    metadata = Metadata(icc=srgb_profile() + bytes(200_000), xmp=XMP + b" " * 70_000)
    write_image(tmp_path / "a.jpg", Picture(PHOTO, None, metadata))
    back = read_image(tmp_path / "a.jpg").metadata
    assert back.icc == metadata.icc
    assert back.xmp is None


@pytest.mark.slow
@pytest.mark.parametrize("format", ["png", "tiff", "jpg"])
def test_a_large_picture_needs_little_memory_beyond_its_own(tmp_path, format):
    """108 megapixels: less than 400 MB beside the array to write, and less than 1.4 arrays to read it back."""
    code = textwrap.dedent(f"""
        import numpy as np
        from sharpline.pixels.reading import read_image
        from sharpline.pixels.writing import write_image
        def status(key):
            line = next(l for l in open("/proc/self/status") if l.startswith(key))
            return int(line.split()[1]) // 1024
        tile = np.random.default_rng(0).integers(0, 64, (9000, 100, 3), dtype=np.uint8).repeat(2, axis=1)
        array = np.tile(tile, (1, 60, 1))
        del tile
        before = status("VmRSS")
        open("/proc/self/clear_refs", "w").write("5")
        write_image({str(tmp_path / f"a.{format}")!r}, array)
        written = status("VmHWM") - before
        del array
        before = status("VmRSS")
        open("/proc/self/clear_refs", "w").write("5")
        picture = read_image({str(tmp_path / f"a.{format}")!r})
        assert picture.size == (12000, 9000)
        print(written, status("VmHWM") - before)
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    extra_to_write, to_read = map(int, done.stdout.split())
    assert extra_to_write < 400
    assert to_read < 310 * 1.4 + (tmp_path / f"a.{format}").stat().st_size / 1e6
