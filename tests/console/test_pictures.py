import io
import json
import time
import zipfile

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from console.moving_feed import HASH, boxed, frame_of
from sharpline.console import pictures
from sharpline.console.messages import Window
from sharpline.console.pair import pair, stem
from sharpline.line.frame import Frame, Result
from sharpline.line.guard import consistency_map
from sharpline.pixels.codecs.png_reading import read_png
from sharpline.pixels.imresize import imresize


def result_of(image: np.ndarray, sr: np.ndarray, scale: int, source: str = "cam1", **more: object) -> Result:
    now = time.monotonic()
    return Result(Frame(source, 7, image, 1.7e9, now), sr, scale, "edge-s-x4", HASH, False, 0.01, now, **more)


def smooth(height: int, width: int, dtype: type = np.uint8) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 3 + y, 200 - x, y * 2 + 20], axis=2) % 220
    return (image * (257 if dtype == np.uint16 else 1)).astype(dtype)


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    scale=st.integers(1, 4),
    place=st.tuples(st.integers(0, 200), st.integers(0, 200), st.integers(1, 90), st.integers(1, 90)),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    seed=st.integers(0, 9),
)
def test_the_loupe_shows_the_pixels_of_both_pictures_exactly(size, scale, place, dtype, seed):
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max + 1
    image = rng.integers(0, top, (*size, 3)).astype(dtype)
    sr = rng.integers(0, top, (size[0] * scale, size[1] * scale, 3)).astype(dtype)
    parts = pictures.loupe(result_of(image, sr, scale), Window(x=place[0], y=place[1], width=place[2], height=place[3]))
    for part, whole in zip(parts, (sr, imresize(image, scale)), strict=True):
        x, y, w, h = (part.facts[name] for name in ("x", "y", "width", "height"))
        assert w == min(place[2], sr.shape[1])
        assert 0 <= x <= sr.shape[1] - w
        cut = whole[y : y + h, x : x + w]
        expected = cut if dtype == np.uint8 else ((cut.astype(np.uint32) + 128) // 257).astype(np.uint8)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(part.data))), expected)


@given(scale=st.integers(1, 8), width=st.integers(1, 1500), wanted=st.integers(1, 8000))
def test_a_picture_is_shrunk_only_as_far_as_the_screen_and_the_pixels_allow(scale, width, wanted):
    k = pictures.reduction(scale, width * scale, wanted)
    assert scale % k == 0 or k % scale == 0
    assert k == 1 or width * scale / k >= 0.85 * wanted


@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_both_pictures_have_the_same_size_at_every_reduction(k):
    image = smooth(61, 83)
    result = result_of(image, image.repeat(4, 0).repeat(4, 1), 4)
    sr = simplejpeg.decode_jpeg(pictures.upscaled(result, k, 95).data)
    camera = simplejpeg.decode_jpeg(pictures.camera(result, k, 95).data)
    small = simplejpeg.decode_jpeg(pictures.camera(result, k, None).data)
    assert sr.shape == camera.shape == (-(-244 // k), -(-332 // k), 3)
    assert small.shape[:2] == (-(-61 * min(4, k) // k), -(-83 * min(4, k) // k))
    assert np.abs(sr.astype(int) - camera).mean() < 4  # and show the same things at the same places


def test_the_server_enlarges_by_bicubic():
    image = np.random.default_rng(0).integers(60, 190, (40, 50, 1)).astype(np.uint8).repeat(3, axis=2)
    result = result_of(image, image.repeat(4, 0).repeat(4, 1), 4)
    camera = simplejpeg.decode_jpeg(pictures.camera(result, 1, 100).data)[8:-8, 8:-8].astype(int)
    bicubic = imresize(image, 4)[8:-8, 8:-8]
    assert np.abs(camera - bicubic).mean() < 1.0
    linear = np.asarray(Image.fromarray(image).resize((200, 160), Image.Resampling.BILINEAR))[8:-8, 8:-8]
    assert np.abs(linear.astype(int) - bicubic).mean() > 1.5  # so that the bound above means something


def test_the_heat_map_is_the_guards():
    image = frame_of(3, (61, 83))
    sr = np.ascontiguousarray(image.repeat(4, 0).repeat(4, 1))
    sr[96:128, 32:64] += 13
    part = pictures.heat(result_of(image, sr, 4))
    levels = np.frombuffer(part.data, np.uint8).reshape(part.facts["rows"], part.facts["columns"]) / part.facts["steps"]
    assert np.abs(levels - consistency_map(image, sr).clip(0, 63.75)).max() <= 0.5 / part.facts["steps"]
    assert np.argwhere(levels > 6).tolist() == [[3, 1]]
    assert part.facts["largest"] == pytest.approx(13, abs=0.1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_saved_pair_holds_both_pictures_without_loss_and_all_the_data(dtype):
    image = smooth(12, 16, dtype)
    sr = np.ascontiguousarray(image.repeat(4, 0).repeat(4, 1))
    result = result_of(image, sr, 4, detections=(boxed(),), alarms=("too dark",), consistency=2.5)
    with zipfile.ZipFile(io.BytesIO(pair(result))) as archive:
        assert archive.testzip() is None
        names = sorted(archive.namelist())
        assert names == [f"cam1-00000007-{kind}" for kind in ("camera.png", "data.json", "upscaled.png")]
        data = json.loads(archive.read(names[1]))
        for name, pixels in ((names[0], image), (names[2], sr)):
            assert np.array_equal(read_png(io.BytesIO(archive.read(name)), 10**6).pixels, pixels)
    assert data["model_sha256"] == HASH
    assert data["captured"] == "2023-11-14T22:13:20.000+00:00"
    assert data["detections"][0]["camera_box"] == [20, 20, 60, 50]
    assert data["alarms"] == ["too dark"]
    assert set(data["sha256"]) == {names[0], names[2]}


@pytest.mark.parametrize("source", ["../../etc/passwd", 'a"\r\nset-cookie: x', "ä", "", "...", "x" * 500])
def test_no_name_of_a_source_leaves_its_file_name(source):
    image = smooth(4, 4)
    name = stem(result_of(image, image, 1, source))
    assert name.isascii()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert not name.startswith(".")
    assert len(name) < 100
