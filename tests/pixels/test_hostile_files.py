"""Files that are damaged, lie, or are no pictures: a picture or one line, never anything else.

Run as a program (``python test_hostile_files.py SEED COUNT FOLDER``) it is the fuzzer that the slow test starts in a
process of its own, so that a crash or a hang of a decoder is seen as a failure.
"""

import faulthandler
import os
import random
import re
import resource
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from file_samples import GREY, PHOTO, encoded, every_kind, png_chunk, saved, tiff
from PIL import Image

from sharpline.errors import ImageError
from sharpline.pixels.reading import read_image

KINDS = every_kind()


def refusal(path, **options):
    with pytest.raises(ImageError) as caught:
        read_image(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(Path(path).name) in message
    return message


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_truncated_picture_is_refused(tmp_path, name, capfd):
    """Unless what is missing lies behind the pixels (a trailer, a resolution): never half a picture."""
    content = KINDS[name]
    whole = read_image(saved(tmp_path, name, content)).pixels
    refused = 0
    for part in (0.999, 0.98, 0.9, 0.7, 0.5, 0.2, 0.05):
        path = saved(tmp_path, name, content[: int(len(content) * part)])
        try:
            np.testing.assert_array_equal(read_image(path).pixels, whole)
        except ImageError:
            refused += 1
    assert refused >= 5
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("cut", range(1, 13))
def test_a_png_that_lost_its_end_is_refused(tmp_path, cut):
    assert "cut off" in refusal(saved(tmp_path, "a.png", KINDS["rgb.png"][:-cut]))


def test_a_jpeg_whose_second_half_is_zeros_is_refused(tmp_path):
    content = encoded(Image.fromarray(PHOTO), "JPEG", quality=95)
    half = len(content) // 2
    assert "cut off" in refusal(saved(tmp_path, "a.jpg", content[:half] + bytes(half)))


def test_a_flipped_bit_in_a_png_is_noticed(tmp_path):
    content = bytearray(KINDS["rgb.png"])
    content[content.index(b"IDAT") + 60] ^= 1
    assert "damaged (its IDAT)" in refusal(saved(tmp_path, "a.png", bytes(content)))


def test_what_is_no_picture_is_said(tmp_path):
    assert "the file is empty" in refusal(saved(tmp_path, "a.png", b""))
    assert "no picture" in refusal(saved(tmp_path, "a.png", b"just a text file, called a picture\n" * 9))
    assert "it is a folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "missing.png")
    assert "no such file" in refusal(tmp_path / "a.png" / "b.png")
    assert "too long" in refusal(tmp_path / ("x" * 300))
    with pytest.raises(ImageError, match="no such file"):
        read_image("null\0character.png")


def test_the_content_decides_not_the_suffix(tmp_path):
    assert read_image(saved(tmp_path, "a.png", KINDS["photo.jpg"])).size == (40, 50)


def test_names_with_odd_bytes_stay_on_one_line(tmp_path):
    with pytest.raises(ImageError) as caught:
        read_image(os.fsencode(tmp_path) + b"/two\nlines \xff.png")
    assert "two\\nlines \\xff.png: no such file" in str(caught.value)


def test_pipes_and_devices_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero", "/dev/null"):
        assert "regular picture file" in refusal(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission_is_said(tmp_path):
    path = saved(tmp_path, "a.png", KINDS["rgb.png"])
    path.chmod(0)
    assert "permission denied" in refusal(path)


def bombs():
    """Small files whose headers ask for a hundred megapixels and more."""
    huge = struct.pack(">II", 100_000, 100_000)
    head = png_chunk(b"IHDR", huge + b"\x08\x02\0\0\0")
    yield "a.png", b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(b"0")) + png_chunk(b"IEND", b"")
    jpeg = bytearray(encoded(GREY, "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    yield "a.jpg", bytes(jpeg)
    gif = bytearray(KINDS["photo.gif"])
    gif[6:10] = b"\xff\xff\xff\xff"
    yield "a.gif", bytes(gif)
    bmp = bytearray(KINDS["photo.bmp"])
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    yield "a.bmp", bytes(bmp)
    webp = bytearray(KINDS["lossless.webp"])
    webp[24:30] = b"\xff\x3f\0\xff\x3f\0"
    yield "a.webp", bytes(webp)
    plain = bytearray(tiff(GREY, metadata=None))
    at = struct.unpack_from("<I", plain, 4)[0] + 2
    while struct.unpack_from("<H", plain, at)[0] <= 257:  # ImageWidth and ImageLength
        if plain[at : at + 2] != struct.pack("<H", 254):
            struct.pack_into("<HII", plain, at + 2, 4, 1, 100_000)
        at += 12
    yield "a.tif", bytes(plain)


@pytest.mark.parametrize(("name", "content"), list(bombs()), ids=[n for n, _ in bombs()])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path, name, content):
    started = time.perf_counter()
    message = refusal(saved(tmp_path, name, content))
    assert time.perf_counter() - started < 0.5
    asked = re.search(r"--max-pixels (\d+)", message)
    assert asked
    assert int(asked.group(1)) > 200_000_000


def test_the_limit_is_the_callers(tmp_path):
    path = saved(tmp_path, "a.png", KINDS["rgb.png"])
    assert "more than the limit of 1,999" in refusal(path, max_pixels=1999)
    assert read_image(path, max_pixels=2000).size == (40, 50)


def test_a_huge_file_with_a_small_header_is_not_taken_into_memory(tmp_path):
    path = saved(tmp_path, "a.png", KINDS["rgb.png"])
    os.truncate(path, 1 << 40)  # sparse
    assert "see --max-pixels" in refusal(path)


def test_compressed_metadata_may_not_inflate_without_end(tmp_path):
    bomb = png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(200 << 20), 9))
    plain = KINDS["deep.png"]
    picture = read_image(saved(tmp_path, "a.png", plain[:33] + bomb + plain[33:]))
    assert picture.metadata.icc is None


def test_a_jpeg_of_endless_scans_is_refused(tmp_path):
    content = KINDS["progressive.jpg"]
    first = content.index(b"\xff\xda")
    scan = content[first : content.index(b"\xff", first + 20)]
    assert "scans" in refusal(saved(tmp_path, "a.jpg", content[:first] + scan * 3000 + content[first:]))


def test_directories_in_a_circle_or_without_end_are_no_hang(tmp_path):
    content = bytearray(tiff(PHOTO, photometric="rgb", metadata=None))
    start = struct.unpack_from("<I", content, 4)[0]
    next_at = start + 2 + 12 * struct.unpack_from("<H", content, start)[0]
    content[next_at : next_at + 4] = struct.pack("<I", start)
    read_image(saved(tmp_path, "circle.tif", bytes(content)))
    chain = bytearray(b"II*\0" + struct.pack("<I", 8))
    for _ in range(50_000):
        chain += struct.pack("<HHHII", 1, 256, 3, 1, 5) + struct.pack("<I", len(chain) + 18)
    assert "pages" in refusal(saved(tmp_path, "chain.tif", bytes(chain)))


@pytest.mark.slow
def test_thousands_of_mutated_files_give_pictures_or_one_line(tmp_path):
    for seed in (1, 2):
        command = [sys.executable, __file__, str(seed), "1800", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, f"seed {seed}: exit {done.returncode}\n{done.stdout}{done.stderr[-3000:]}"


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One damage of the kinds that disks, networks and villains do."""
    data, n = bytearray(content), len(content)
    extremes = (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0", b"\xff\xff\0\0")
    kind = rng.randrange(7)
    if kind == 0:
        return content[: rng.randrange(n)]
    if kind == 1:
        for _ in range(rng.choice((1, 1, 2, 8, 32))):
            data[rng.randrange(n)] ^= 1 << rng.randrange(8)
    elif kind == 2:  # lies in the header
        at = rng.randrange(min(n, 200))
        data[at : at + 4] = rng.choice(extremes)
    elif kind == 3:  # lies in lengths and offsets
        at = rng.randrange(n)
        data[at : at + 4] = rng.choice(extremes)
    elif kind == 4:
        at = rng.randrange(n)
        del data[at : at + rng.randrange(1, 64)]
    elif kind == 5:
        at, source = rng.randrange(n), rng.randrange(n)
        data[at:at] = data[source : source + rng.randrange(1, 64)]
    else:
        data[rng.randrange(min(n, 64))] = rng.randrange(256)
    return with_right_checksums(bytes(data)) if rng.random() < 0.7 else bytes(data)


def with_right_checksums(data: bytes) -> bytes:
    """A PNG whose damage its checksums do not show, so that the decoder behind them is tried too."""
    if data[:4] != b"\x89PNG":
        return data
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        end = at + 8 + struct.unpack_from(">I", out, at)[0]
        if end + 4 > len(out):
            break
        struct.pack_into(">I", out, end, zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def fuzz(seed: int, count: int, folder: Path) -> None:
    rng, samples = random.Random(seed), list(KINDS.items())
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    faulthandler.enable()
    for i in range(count):
        name, content = samples[i % len(samples)]
        path = saved(folder, f"fuzzed-{name}", mutated(content, rng))
        faulthandler.dump_traceback_later(10, exit=True)  # a hang
        started = time.perf_counter()
        try:
            read_image(path, max_pixels=20_000_000)
            said = ""
        except ImageError as error:
            said = str(error)
        assert "\n" not in said
        took = time.perf_counter() - started
        faulthandler.cancel_dump_traceback_later()
        assert took < 3, f"{path} took {took:.1f} s"


if __name__ == "__main__":
    fuzz(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
