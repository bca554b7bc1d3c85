import numpy as np
import pytest

from sharpline.pixels.picture import Metadata, Picture
from sharpline.runtime.fringe import fill_hidden
from sharpline.runtime.pictures import upscale_picture
from sharpline.runtime.upscaler import Upscaler


def _disc(size=48, dtype=np.uint8):
    """A white disc on hidden black, as image editors save cut-outs."""
    y, x = np.mgrid[:size, :size]
    inside = (x - size / 2) ** 2 + (y - size / 2) ** 2 < (size / 3) ** 2
    white = 1 if dtype == np.float32 else np.iinfo(dtype).max
    alpha = inside.astype(dtype) * dtype(white)
    return Picture(alpha[:, :, None].repeat(3, 2), alpha, Metadata(dpi=(72.0, 72.0)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("model", ["bicubic", "network"])
def test_a_cut_out_has_no_dark_fringe(model_file, dtype, model):
    upscale = Upscaler("bicubic", scale=2) if model == "bicubic" else Upscaler(model_file(depth=3))
    picture = _disc(dtype=dtype)
    sr = upscale_picture(upscale, picture)
    flat = upscale(np.full_like(picture.pixels, picture.pixels.max()))  # white all over, no edge to show
    visible = sr.alpha > 0
    np.testing.assert_array_equal(sr.pixels[visible], flat[visible])
    assert sr.alpha.dtype == dtype
    assert sr.alpha.shape == (96, 96)
    assert sr.metadata == picture.metadata


def test_without_alpha_it_is_the_upscaler(model_file):
    upscale = Upscaler(model_file())
    pixels = _disc().pixels
    sr = upscale_picture(upscale, Picture(pixels))
    np.testing.assert_array_equal(sr.pixels, upscale(pixels))
    assert sr.alpha is None


def test_full_alpha_stays_full_and_costs_nothing(model_file):
    calls = []
    picture = Picture(_disc().pixels, np.full((48, 48), 255, np.uint8))
    sr = upscale_picture(Upscaler(model_file()), picture, progress=lambda *call: calls.append(call))
    assert (sr.alpha == 255).all()
    assert calls == [(1, 1)]


def test_progress_goes_through_both_passes(model_file):
    calls = []
    upscale_picture(Upscaler(model_file(), tile=16), _disc(), progress=lambda done, total: calls.append(done / total))
    assert calls == sorted(calls)
    assert calls[-1] == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (64, 33)])
def test_hidden_pixels_take_colours_that_exist(size):
    rng = np.random.default_rng(0)
    pixels = rng.integers(100, 110, (*size, 3), dtype=np.uint8)
    alpha = (rng.random(size) < 0.2).astype(np.uint8) * 255
    alpha.flat[0] = 255
    pixels[alpha == 0] = 0
    filled = fill_hidden(pixels, alpha)
    np.testing.assert_array_equal(filled[alpha > 0], pixels[alpha > 0])
    assert filled.min() >= 100


def test_a_picture_that_is_hidden_whole_stays_as_it_is():
    pixels = _disc().pixels
    assert fill_hidden(pixels, np.zeros((48, 48), np.uint8)) is pixels
