import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharpline.errors import UsageError
from sharpline.pixels.colour import luma, rgb_to_ycbcr, ycbcr_to_rgb

# BT.601's colour bars in 8-bit studio range, as the standard's tables print them.
BARS = {
    (255, 255, 255): (235, 128, 128),
    (255, 255, 0): (210, 16, 146),
    (0, 255, 255): (170, 166, 16),
    (0, 255, 0): (145, 54, 34),
    (255, 0, 255): (106, 202, 222),
    (255, 0, 0): (81, 90, 240),
    (0, 0, 255): (41, 240, 110),
    (0, 0, 0): (16, 128, 128),
}


def pixel(*values: float, dtype: str = "uint8") -> np.ndarray:
    return np.array(values, dtype).reshape(1, 1, -1)


@pytest.mark.parametrize(("rgb", "ycbcr"), BARS.items())
def test_colour_bars(rgb: tuple[int, ...], ycbcr: tuple[int, ...]) -> None:
    assert tuple(rgb_to_ycbcr(pixel(*rgb)).ravel()) == ycbcr
    assert luma(pixel(*rgb)).item() == ycbcr[0]


@given(st.lists(st.integers(0, 255), min_size=3, max_size=3))
def test_there_and_back_within_rounding(rgb: list[int]) -> None:
    back = ycbcr_to_rgb(rgb_to_ycbcr(pixel(*rgb)))
    assert np.abs(back.ravel().astype(int) - rgb).max() <= 2
    exact = ycbcr_to_rgb(rgb_to_ycbcr(pixel(*rgb).astype(np.float32) / np.float32(255)))
    np.testing.assert_allclose(exact.ravel() * 255, rgb, atol=1e-3)


def test_every_luma_equals_exact_integer_arithmetic() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (1000, 200, 3), dtype=np.uint8)
    r, g, b = np.moveaxis(rgb.astype(np.int64), 2, 0)
    exact = (65481 * r + 128553 * g + 24966 * b + 16 * 255000 + 127500) // 255000
    np.testing.assert_array_equal(luma(rgb)[..., 0], exact)


def test_unrounded_is_float64_in_the_same_units() -> None:
    y = rgb_to_ycbcr(pixel(255, 0, 0), rounded=False)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y.ravel(), [81.481, 90.203, 240.0], atol=1e-9)
    wide = luma(pixel(65535, 0, 0, dtype="uint16"), rounded=False)
    np.testing.assert_allclose(wide.ravel(), [81.481 * 257], atol=1e-6)


@pytest.mark.parametrize("convert", [rgb_to_ycbcr, ycbcr_to_rgb])
def test_16_bit_and_float_agree_with_8_bit(convert) -> None:
    image = np.random.default_rng(1).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    wide = convert(image.astype(np.uint16) * np.uint16(257))
    real = convert(image.astype(np.float32) / np.float32(255))
    assert (wide.dtype, real.dtype) == (np.uint16, np.float32)
    assert np.abs(wide / 257 - convert(image)).max() <= 0.51
    np.testing.assert_allclose(real, wide / 65535, atol=1e-5)


def test_grey_is_luma_already() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    np.testing.assert_array_equal(luma(grey), grey)
    np.testing.assert_array_equal(luma(grey, rounded=False), grey)
    assert luma(grey, rounded=False).dtype == np.float64


def test_rgb_is_clipped_to_its_range() -> None:
    assert ycbcr_to_rgb(pixel(235, 240, 240)).max() == 255
    assert ycbcr_to_rgb(pixel(0, 128, 128)).max() == 0
    assert ycbcr_to_rgb(pixel(1.0, 0.5, 0.5, dtype="float32")).max() == 1


@pytest.mark.parametrize("bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3), int)])
@pytest.mark.parametrize("convert", [rgb_to_ycbcr, ycbcr_to_rgb, luma])
def test_no_image_is_refused(convert, bad: np.ndarray) -> None:
    with pytest.raises(UsageError):
        convert(bad)
