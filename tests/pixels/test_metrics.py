import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data
from skimage.metrics import structural_similarity

from sharpline.errors import UsageError
from sharpline.pixels.colour import luma
from sharpline.pixels.metrics import PROTOCOL, psnr, psnr_y, ssim, ssim_y


def noisy(image: np.ndarray, amount: float = 12, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, amount, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return data.astronaut()[:200, :233]


def test_psnr_is_its_formula(photo: np.ndarray) -> None:
    other = noisy(photo)
    error = np.mean((photo.astype(float) - other) ** 2)
    assert psnr(photo, other) == pytest.approx(10 * math.log10(255**2 / error))


def test_psnr_does_not_wrap_around() -> None:
    black, white = np.zeros((2, 2, 1), np.uint8), np.full((2, 2, 1), 255, np.uint8)
    assert psnr(black, white) == pytest.approx(0)
    assert psnr(white, black) == pytest.approx(0)


def test_equal_images(photo: np.ndarray) -> None:
    assert psnr(photo, photo) == math.inf
    assert ssim(photo, photo) == pytest.approx(1, abs=1e-12)


def test_every_depth_has_its_own_white(photo: np.ndarray) -> None:
    other = noisy(photo)
    wide = [x.astype(np.uint16) * np.uint16(257) for x in (photo, other)]
    real = [x.astype(np.float32) / np.float32(255) for x in (photo, other)]
    for measure in (psnr, ssim):
        assert measure(*wide) == pytest.approx(measure(photo, other), rel=1e-9)
        assert measure(*real) == pytest.approx(measure(photo, other), rel=1e-5)


def test_border_is_left_out(photo: np.ndarray) -> None:
    other = photo.copy()
    other[:4] = other[-4:] = 0
    other[:, :4] = other[:, -4:] = 0
    assert psnr(photo, other, border=4) == math.inf
    assert ssim(photo, other, border=4) == pytest.approx(1, abs=1e-12)
    assert psnr(photo, other, border=3) < 40


@pytest.mark.parametrize("shape", [(11, 11), (11, 60), (75, 12), (129, 200)])
def test_ssim_equals_scikit_image_with_matlabs_settings(photo: np.ndarray, shape: tuple[int, int]) -> None:
    a = np.ascontiguousarray(photo[: shape[0], : shape[1], 0])
    b = noisy(a, 20)
    _, full = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )
    assert ssim(a[..., None], b[..., None]) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(1, 60))
def test_ssim_is_symmetric_and_bounded(seed: int, amount: float) -> None:
    a = np.random.default_rng(seed).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    b = noisy(a, amount, seed)
    assert -1 <= ssim(a, b) <= 1
    assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-12)


def test_protocol_is_luma_rounded_with_scale_as_border(photo: np.ndarray) -> None:
    other = noisy(photo)
    a, b = luma(photo), luma(other)
    assert a.dtype == np.uint8
    assert psnr_y(other, photo, 4) == psnr(b, a, border=4)
    assert ssim_y(other, photo, 3) == ssim(b, a, border=3)
    assert "Y" in PROTOCOL
    assert "border = scale" in PROTOCOL


def test_protocol_takes_grey_as_luma() -> None:
    grey = data.camera()[:64, :64, None]
    assert psnr_y(noisy(grey), grey, 2) == psnr(noisy(grey), grey, border=2)


def test_protocol_rounds_every_depth_to_uint8(photo: np.ndarray) -> None:
    other = noisy(photo)
    real = other.astype(np.float32) / np.float32(255) + np.float32(0.3 / 255)
    wide = other.astype(np.uint16) * np.uint16(257)
    assert psnr_y(real, photo, 4) == psnr_y(wide, photo, 4) == psnr_y(other, photo, 4)


def test_one_megapixel_takes_well_under_a_second() -> None:
    a = np.random.default_rng(0).integers(0, 256, (1000, 1000, 1), dtype=np.uint8)
    start = time.process_time()
    ssim(a, a[::-1])
    assert time.process_time() - start < 1


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_cannot_be_compared_is_refused(measure) -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(UsageError, match="shapes"):
        measure(image, image[:19])
    with pytest.raises(UsageError, match="uint16"):
        measure(image, image.astype(np.uint16))
    with pytest.raises(UsageError, match="border"):
        measure(image, image, border=10)
    with pytest.raises(UsageError, match="border"):
        measure(image, image, border=-1)


def test_ssim_needs_a_whole_window() -> None:
    image = np.zeros((18, 40, 1), np.uint8)
    with pytest.raises(UsageError, match="11 x 11"):
        ssim(image, image, border=4)
