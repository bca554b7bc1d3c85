import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sharpline.errors import UsageError
from sharpline.pixels.imresize import imresize

KERNELS = ["bicubic", "lanczos3", "bilinear", "box"]


def load(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def random_image(height: int, width: int, channels: int = 3, dtype: str = "uint8") -> np.ndarray:
    values = np.random.default_rng(height * 1000 + width).random((height, width, channels))
    return (values * np.iinfo(dtype).max).astype(dtype) if dtype.startswith("u") else values.astype(dtype)


def exact_imresize(image: np.ndarray, size: tuple[int, int], order: tuple[int, int]) -> np.ndarray:
    """MATLAB's bicubic on uint8, one output row at a time, from its definition in exact fractions."""

    def cubic(x: Fraction) -> Fraction:
        x = abs(x)
        if x <= 1:
            return (3 * x**3 - 5 * x**2 + 2) / 2
        return (-(x**3) + 5 * x**2 - 8 * x + 4) / 2 if x <= 2 else Fraction(0)

    for axis in order:
        lines = np.moveaxis(image, axis, 0).astype(object)
        n, scale = len(lines), Fraction(size[axis], len(lines))
        shrink = min(scale, Fraction(1))
        rows = []
        for i in range(size[axis]):
            centre = (i + Fraction(1, 2)) / scale - Fraction(1, 2)
            first = math.floor(centre - 2 / shrink)
            taps = range(first, first + math.ceil(4 / shrink) + 2)
            weights = [cubic(shrink * (centre - t)) for t in taps]
            denominator = math.lcm(*[w.denominator for w in weights])
            whole = [int(w * denominator) for w in weights]  # integers: exact, and fast enough
            places = [min(t % (2 * n), 2 * n - 1 - t % (2 * n)) for t in taps]
            total = sum(w * lines[p] for w, p in zip(whole, places, strict=True))
            rows.append((2 * total + sum(whole)) // (2 * sum(whole)))  # floor(x + 1/2)
        image = np.clip(np.moveaxis(np.array(rows), 0, axis), 0, 255).astype(np.uint8)
    return image


class TestMatlab:
    """MATLAB's own outputs, bit for bit."""

    def test_lena_uint8(self, reference_dir: Path) -> None:
        folder = reference_dir / "imresize"
        lena, expected = load(folder / "lena_512x512.png"), load(folder / "lena_123x234_uint8.png")
        np.testing.assert_array_equal(imresize(lena, size=expected.shape[:2]), expected)

    def test_lena_double(self, reference_dir: Path) -> None:
        folder = reference_dir / "imresize"
        lena, expected = load(folder / "lena_512x512.png") / 255, load(folder / "lena_123x234_double.png")
        result = np.clip(imresize(lena, size=expected.shape[:2]), 0, 1) * 255
        np.testing.assert_array_equal(np.floor(result + 0.5), expected)

    @pytest.mark.parametrize("scale", [2, 3, 4])
    @pytest.mark.parametrize("name", ["baby", "bird", "butterfly", "head", "woman"])
    def test_set5(self, data_dir: Path, reference_dir: Path, name: str, scale: int) -> None:
        hr = load(data_dir / "test/Set5" / f"{name}.png")
        hr = hr[: len(hr) // scale * scale, : hr.shape[1] // scale * scale]  # the set was made of cropped images
        expected = load(reference_dir / "imresize" / f"set5_x{scale}" / f"{name}x{scale}.png")
        np.testing.assert_array_equal(imresize(hr, 1 / scale), expected)


@settings(max_examples=60, deadline=None)
@given(*[st.integers(1, 40) for _ in range(4)], st.sampled_from([1, 3]))
def test_equals_the_definition(height: int, width: int, out_height: int, out_width: int, channels: int) -> None:
    image, size = random_image(height, width, channels), (out_height, out_width)
    order = (1, 0) if out_width / width < out_height / height else (0, 1)
    np.testing.assert_array_equal(imresize(image, size=size), exact_imresize(image, size, order))


@pytest.mark.parametrize(("scale", "margin"), [(0.25, 16), (0.5, 8), (3, 6)])
def test_the_inner_tiles_leave_no_seams(scale: float, margin: int) -> None:
    image = random_image(360, 440)
    inner = imresize(image[40:-40, 80:-80], scale)
    top, left, trim = int(40 * scale), int(80 * scale), int(margin * scale)
    window = imresize(image, scale)[top:-top, left:-left]
    np.testing.assert_array_equal(window[trim:-trim, trim:-trim], inner[trim:-trim, trim:-trim])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [0.25, 1 / 3, 0.7, 1, 2, 3.3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_constant_stays_constant_and_dtype_stays(kernel: str, scale: float, dtype: str) -> None:
    value = 200 if dtype.startswith("u") else 0.2
    result = imresize(np.full((23, 17, 3), value, dtype), scale, kernel=kernel)
    assert result.dtype == dtype
    assert result.shape == (math.ceil(23 * scale), math.ceil(17 * scale), 3)
    np.testing.assert_allclose(result, np.asarray(value, dtype), rtol=0, atol=0 if dtype[0] == "u" else 1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [0.5, 3])
def test_mirrored_image_gives_mirrored_result(kernel: str, scale: float) -> None:
    image = random_image(18, 26, dtype="float64")
    flipped = imresize(image[::-1, ::-1], scale, kernel=kernel)[::-1, ::-1]
    np.testing.assert_allclose(imresize(image, scale, kernel=kernel), flipped, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_float32_agrees_with_float64(kernel: str) -> None:
    image = random_image(40, 60, dtype="float32")
    exact = imresize(image.astype(np.float64), 0.4, kernel=kernel)
    np.testing.assert_allclose(imresize(image, 0.4, kernel=kernel), exact, atol=2e-6)


def test_channels_and_plane_are_independent() -> None:
    image = random_image(33, 21)
    whole = imresize(image, size=(14, 50))
    for channel in range(3):
        np.testing.assert_array_equal(imresize(image[..., channel], size=(14, 50)), whole[..., channel])


def test_float_is_not_clipped_and_integers_saturate() -> None:
    step = np.repeat([[0.0, 1.0]], 8, axis=1).reshape(1, 16, 1)
    soft = imresize(step, size=(1, 64))
    assert soft.min() < -0.01
    assert soft.max() > 1.01
    hard = imresize((step * 65535).astype(np.uint16), size=(1, 64))
    assert (hard.min(), hard.max()) == (0, 65535)


def test_box_halving_is_the_mean_of_four_rounded_after_each_pass() -> None:
    image = np.array([[0, 1], [1, 1]], np.uint8)[..., None]
    assert imresize(image, 0.5, kernel="box").item() == 1  # columns of 0.5 -> 1 and 1: a plain mean is 0.75 -> 1
    assert imresize(np.array([[0, 0], [0, 3]], np.uint8)[..., None], 0.5, kernel="box").item() == 1  # 1.5 -> 2 -> 1


def test_without_antialias_a_shrunk_picture_only_samples() -> None:
    stripes = np.tile(np.array([0, 255, 0], np.uint8), 12).reshape(1, 36, 1)
    assert (imresize(stripes, size=(1, 12), antialias=False) == 255).all()
    assert (imresize(stripes, size=(1, 12)) < 128).all()


def test_same_size_is_a_copy() -> None:
    image = random_image(5, 6)
    result = imresize(image, 1)
    np.testing.assert_array_equal(result, image)
    assert not np.shares_memory(result, image)


def test_input_that_is_not_contiguous() -> None:
    image = random_image(20, 30)
    np.testing.assert_array_equal(imresize(image[:, ::2], 2), imresize(image[:, ::2].copy(), 2))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), {}, "either scale or size"),
        (np.zeros((4, 4, 3), np.uint8), {"scale": 2, "size": (8, 8)}, "either scale or size"),
        (np.zeros((4, 4, 3), np.uint8), {"scale": 0}, "above 0"),
        (np.zeros((4, 4, 3), np.uint8), {"scale": math.nan}, "above 0"),
        (np.zeros((4, 4, 3), np.uint8), {"size": (0, 8)}, "1 or more"),
        (np.zeros((4, 4, 3), np.uint8), {"scale": 2, "kernel": "cubic"}, "bicubic, lanczos3"),
        (np.zeros((4, 4, 3), np.int32), {"scale": 2}, "int32"),
        (np.zeros((4, 0, 3), np.uint8), {"scale": 2}, "shape"),
        (np.zeros(4, np.uint8), {"scale": 2}, "shape"),
    ],
)
def test_nonsense_is_refused_in_words(image: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        imresize(image, **options)
