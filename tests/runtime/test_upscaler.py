from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from networks_onnx import random_network, save
from sharpline.errors import ImageError, ModelError, SharplineError, UsageError
from sharpline.pixels.imresize import imresize
from sharpline.runtime import upscaler as upscaler_module
from sharpline.runtime.upscaler import Upscaler


def _image(height, width, channels=3, dtype=np.uint8, seed=0):
    image = np.random.default_rng(seed).random((height, width, channels), dtype=np.float32)
    return image if dtype == np.float32 else (image * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture(scope="module")
def upscalers(tmp_path_factory):
    """Small networks of several depths in both colour modes, each with a tile that is set by the test."""
    folder = tmp_path_factory.mktemp("models")
    made = {}
    for colour in ("rgb", "y"):
        for depth, multiple in ((1, 1), (4, 1), (3, 4)):
            model = random_network(2, colour, depth, seed=depth, tile_multiple=multiple)
            path = save(model, folder / f"{colour}{depth}.onnx")
            made[colour, depth] = Upscaler(path, threads=1)
    return made


@settings(deadline=None, max_examples=120)
@given(
    height=st.integers(1, 97),
    width=st.integers(1, 97),
    tile=st.integers(3, 50),
    colour=st.sampled_from(["rgb", "y"]),
    depth=st.sampled_from([1, 4, 3]),
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
)
@example(height=40, width=50, tile=10, colour="y", depth=1, channels=3, dtype=np.float32)  # chroma needs 2 pixels
def test_tiled_equals_whole(upscalers, height, width, tile, colour, depth, channels, dtype):
    upscale = upscalers[colour, depth]
    image = _image(height, width, channels, dtype)
    upscale._tile = 10_000
    whole = upscale(image)
    upscale._tile = tile
    tiled = upscale(image)
    assert tiled.dtype == whole.dtype == dtype
    difference = np.abs(tiled.astype(np.float64) - whole)
    if dtype == np.float32:
        assert difference.max() <= 1e-5
    else:  # float sums may differ in the last bit: a value exactly between two levels may then fall either way
        assert difference.max() <= 1
        assert dtype == np.uint16 or (difference > 0).sum() <= 1 + 1e-3 * difference.size


def test_a_halo_too_small_is_visible(model_file):
    path = model_file(depth=4)
    image = _image(60, 60)
    whole, tiled = Upscaler(path, tile=1000)(image), Upscaler(path, tile=16, card={"receptive_field": 1})(image)
    assert np.abs(whole.astype(int) - tiled).max() > 1


@pytest.mark.parametrize("engine", ["ort", "openvino"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colour", ["rgb", "y"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_shape_and_depth_in_are_shape_and_depth_out(model_file, engine, channels, colour, dtype):
    if engine == "openvino":
        pytest.importorskip("openvino")
    upscale = Upscaler(model_file(scale=3, colour=colour), engine=engine)
    sr = upscale(_image(7, 9, channels, dtype))
    assert (sr.shape, sr.dtype) == ((21, 27, channels), dtype)
    assert upscale(_image(7, 9, 1, dtype)[:, :, 0]).shape == (21, 27)
    assert upscale.engine_name == engine


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (2, 3)])
@pytest.mark.parametrize("model", ["bicubic", "lanczos", None])
def test_extreme_sizes(model_file, size, model):
    upscale = Upscaler(model or model_file(scale=4, depth=12), scale=4, tile=64 if model is None else "auto")
    assert upscale(_image(*size)).shape == (4 * size[0], 4 * size[1], 3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colour", ["rgb", "y"])
def test_depths_tell_the_same_picture(model_file, channels, colour):
    upscale = Upscaler(model_file(colour=colour, depth=3))
    image = _image(40, 50, channels)
    as_bytes = upscale(image).astype(float)
    as_words = upscale(image.astype(np.uint16) * 257) / 257.0
    as_floats = upscale(image.astype(np.float32) / np.float32(255)) * 255.0
    assert np.abs(as_words - as_bytes).max() <= 0.51
    assert np.abs(as_floats - as_bytes).max() <= 0.51
    assert np.abs(as_floats - as_words).max() <= 0.01


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colour", ["rgb", "y"])
def test_a_16_bit_gradient_keeps_its_levels(model_file, channels, colour):
    ramp = np.linspace(10_000, 50_000, 256 * 64).reshape(64, 256, 1).repeat(channels, 2).astype(np.uint16)
    sr = Upscaler(model_file(scale=4, colour=colour))(ramp)
    assert len(np.unique(sr)) > 4000


def test_saturation_is_clipped_and_never_wraps(model_file):
    upscale = Upscaler(model_file(depth=3))
    for dtype, white in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1)):
        noise = np.random.default_rng(0).integers(0, 2, (30, 30, 3)).astype(dtype) * dtype(white)
        sr = upscale(noise)
        assert sr.min() == 0
        assert sr.max() == white
        near = noise.repeat(2, 0).repeat(2, 1).astype(float) - sr
        assert np.median(np.abs(near)) < white / 2, "values have wrapped around"


def test_grey_through_an_rgb_network_is_the_luma_of_its_rgb(model_file):
    upscale = Upscaler(model_file(depth=3))
    grey = _image(20, 20, 1, np.float32)
    rgb = upscale(grey.repeat(3, axis=2))
    inside = ((rgb > 0) & (rgb < 1)).all(axis=2)  # where nothing was clipped
    difference = np.abs(upscale(grey)[:, :, 0] - rgb @ np.array([0.299, 0.587, 0.114]))
    assert difference[inside].max() < 1e-5


def test_rgb_through_a_luma_network_keeps_grey_neutral_and_its_luma(model_file):
    upscale = Upscaler(model_file(colour="y", depth=3))
    grey = _image(20, 20, 1).repeat(3, axis=2) // 2 + 60
    sr = upscale(grey).astype(int)
    assert np.ptp(sr, axis=2).max() <= 1


@pytest.mark.parametrize(("name", "kernel"), [("bicubic", "bicubic"), ("lanczos", "lanczos3")])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_interpolation_is_imresize(name, kernel, dtype):
    image = _image(11, 13, 3, dtype)
    upscale = Upscaler(name, scale=3)
    np.testing.assert_array_equal(upscale(image), imresize(image, 3, kernel=kernel))
    assert (upscale.scale, upscale.card.name, upscale.engine_name) == (3, name, "numpy")


def test_interpolation_stays_in_range():
    edges = np.random.default_rng(0).integers(0, 2, (20, 20, 3)).astype(np.float32)
    sr = Upscaler("lanczos", scale=4)(edges)
    assert (sr.min(), sr.max()) == (0, 1)


def test_awkward_arrays(model_file):
    upscale = Upscaler(model_file())
    image = _image(24, 30)
    expected = upscale(image)
    frozen = image.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(upscale(frozen), expected)
    wide = np.zeros((48, 60, 5), np.uint8)
    wide[::2, ::2, 1:4] = image
    np.testing.assert_array_equal(upscale(wide[::2, ::2, 1:4]), expected)
    np.testing.assert_array_equal(upscale(np.asfortranarray(image)), expected)
    words = _image(24, 30, dtype=np.uint16)
    np.testing.assert_array_equal(upscale(words.astype(">u2")), upscale(words))


def test_the_input_is_not_changed(model_file):
    for colour in ("rgb", "y"):
        for dtype in (np.uint8, np.uint16, np.float32):
            image = _image(12, 12, 3, dtype)
            before = image.copy()
            Upscaler(model_file(colour=colour))(image)
            np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ([[1, 2]], UsageError, "numpy array"),
        (np.zeros((4, 4, 3)), UsageError, "float64"),
        (np.zeros((4, 4, 3), np.int32), UsageError, "int32"),
        (np.zeros((4, 4), bool), UsageError, "bool"),
        (np.zeros((4, 4, 4), np.uint8), UsageError, "alpha"),
        (np.zeros((1, 4, 4, 3), np.uint8), UsageError, "1 x 4 x 4 x 3"),
        (np.zeros((), np.uint8), UsageError, "scalar"),
        (np.zeros((0, 4, 3), np.uint8), ImageError, "empty"),
        (np.full((4, 4, 3), np.nan, np.float32), ImageError, "NaN"),
        (np.full((4, 4, 3), np.inf, np.float32), ImageError, "NaN or infinite"),
        (np.full((4, 4, 3), 200, np.float32), ImageError, r"0\.\.1"),
    ],
)
def test_what_is_not_an_image(image, error, message):
    with pytest.raises(error, match=message) as caught:
        Upscaler("bicubic")(image)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"engine": "tensorrt"},
        {"threads": 0},
        {"threads": 1.5},
        {"tile": 0},
        {"tile": "big"},
        {"tile": True},
        {"precision": "fp16"},
        {"precision": "int8"},
        {"scale": 0},
    ],
)
def test_arguments_that_cannot_be_meant(arguments):
    with pytest.raises(UsageError):
        Upscaler("bicubic", **arguments)


def test_a_card_that_lies_about_the_scale(model_file):
    with pytest.raises(ModelError, match="promises"):
        Upscaler(model_file(scale=2), card={"scale": 3})(_image(8, 8))


def test_eight_threads_share_one_upscaler(model_file):
    upscale = Upscaler(model_file(depth=3), threads=2, tile=20)
    images = [
        _image(5 + 7 * i, 60 - 5 * i, 1 if i % 3 == 0 else 3, (np.uint8, np.uint16, np.float32)[i % 3], i)
        for i in range(10)
    ]
    expected = [Upscaler(model_file(depth=3), threads=2, tile=20)(image) for image in images]
    with ThreadPoolExecutor(8) as pool:
        for round_of_results in pool.map(lambda _: [upscale(image) for image in images], range(8)):
            for sr, right in zip(round_of_results, expected, strict=True):
                np.testing.assert_array_equal(sr, right)


def test_progress_ends_at_its_total(model_file):
    calls = []
    Upscaler(model_file(), tile=16)(_image(60, 60), progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(calls), len(calls))
    assert len(calls) > 4


def _memory_for(area, monkeypatch):
    """Makes every run on more than ``area`` pixels fail for lack of memory."""
    real = upscaler_module.upscale_tile
    seen = []

    def limited(network, lr):
        seen.append(lr.shape[0] * lr.shape[1])
        if seen[-1] > area:
            raise MemoryError
        return real(network, lr)

    monkeypatch.setattr(upscaler_module, "upscale_tile", limited)
    return seen


def test_too_little_memory_makes_smaller_tiles(model_file, monkeypatch):
    upscale = Upscaler(model_file(), threads=1)
    image = _image(100, 120)
    expected = upscale(image)
    seen = _memory_for(1000, monkeypatch)
    np.testing.assert_array_equal(upscale(image), expected)
    assert max(seen) == 100 * 120


def test_no_memory_at_all_is_an_error(model_file, monkeypatch):
    upscale = Upscaler(model_file())
    _memory_for(0, monkeypatch)
    with pytest.raises(ImageError, match="not enough memory"):
        upscale(_image(100, 120))


def test_a_result_beyond_all_memory_is_an_error():
    huge = np.lib.stride_tricks.as_strided(np.zeros(3, np.uint8), (10**6, 10**6, 3), (0, 0, 1))
    with pytest.raises(SharplineError, match="not enough memory"):
        Upscaler("bicubic", scale=16)(huge)


def test_a_large_picture_is_tiled_by_measurement_once(model_file, monkeypatch):
    upscale = Upscaler(model_file(depth=3), threads=1)
    image = _image(300, 400)
    expected = upscale(image)
    timed = []
    monkeypatch.setattr(upscaler_module, "largest_area", lambda *_: 200 * 200)
    monkeypatch.setattr(upscaler_module, "_timed_run", lambda _, side: timed.append(side) or side**2)
    for _ in range(2):
        calls = []
        np.testing.assert_array_equal(upscale(image, progress=lambda *call: calls.append(call)), expected)  # noqa: B023
        assert len(calls) > 4
    assert timed == [128, 128]


@pytest.mark.parametrize(("tile_error", "runs"), [(None, 9), (0.5, 1)])
def test_tiles_that_are_not_exact_are_only_made_where_memory_ends(monkeypatch, tile_error, runs):
    upscale = Upscaler(random_network(2, depth=2, tile_error=tile_error))
    monkeypatch.setattr(upscaler_module, "largest_area", lambda *_: 24 * 24)
    seen = []
    upscale(_image(50, 50), progress=lambda done, total: seen.append(total))
    assert seen[-1] == runs
    monkeypatch.setattr(upscaler_module, "available_memory", lambda: 0)
    upscale(_image(50, 50), progress=lambda done, total: seen.append(total))
    assert seen[-1] == 9
