import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage import data

from sharpline.errors import ImageError, ModelError, UsageError
from sharpline.pixels.colour import luma
from sharpline.pixels.imresize import imresize
from sharpline.pixels.metrics import PROTOCOL, psnr, psnr_y, ssim, ssim_y
from sharpline.pixels.reading import read_image
from sharpline.runtime.ensemble import SelfEnsemble
from sharpline.runtime.evaluation import ImageScore, evaluate_model, evaluate_pairs
from sharpline.runtime.upscaler import Upscaler


class Bicubic:
    """An upscaler, as small as one can be; remembers what it was given."""

    def __init__(self, scale: int) -> None:
        self.scale = scale
        self.card = SimpleNamespace(name="standin")
        self.inputs: list[np.ndarray] = []

    def __call__(self, image: np.ndarray) -> np.ndarray:
        self.inputs.append(image)
        return imresize(image, self.scale)


Save = Callable[..., np.ndarray]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hr").mkdir()
    (tmp_path / "sr").mkdir()
    return tmp_path


@pytest.fixture
def save(folder: Path) -> Save:
    def save(name: str, height: int = 62, width: int = 51, grey: bool = False, seed: int = 0) -> np.ndarray:
        top = np.random.default_rng(seed).integers(0, 100)
        image = data.astronaut()[top : top + height, top : top + width]
        image = image[..., 1] if grey else image
        Image.fromarray(image).save(folder / name)
        return image.reshape(height, width, -1)

    return save


def test_model_is_scored_on_cropped_originals_shrunk_as_uint8(folder: Path, save: Save) -> None:
    originals = [save("hr/b.png", 62, 51), save("hr/a.png", 45, 80, seed=3)]
    upscaler = Bicubic(4)
    result = evaluate_model(upscaler, folder / "hr", 4, luma_only=False)
    assert [image.name for image in result.images] == ["a", "b"]
    hr = originals[0][:60, :48]
    lr = imresize(hr, 0.25)
    np.testing.assert_array_equal(upscaler.inputs[1], lr)
    sr = imresize(lr, 4)
    assert result.images[1] == ImageScore("b", psnr_y(sr, hr, 4), ssim_y(sr, hr, 4))
    assert result.psnr_y == pytest.approx((result.images[0].psnr_y + result.images[1].psnr_y) / 2)
    assert result.ssim_y == pytest.approx((result.images[0].ssim_y + result.images[1].ssim_y) / 2)
    assert (result.model, result.scale, result.protocol) == ("standin", 4, PROTOCOL)


def test_interpolation_is_scored_by_the_recipe_of_its_published_rows(folder: Path, save: Save) -> None:
    save("hr/a.png")
    chosen = evaluate_model(Upscaler("bicubic", scale=2), folder / "hr", 2)
    assert chosen == evaluate_model(Upscaler("bicubic", scale=2), folder / "hr", 2, luma_only=True)
    assert "luma alone" in chosen.protocol


def test_networks_of_luma_are_scored_by_the_recipe_of_their_published_rows(folder: Path, save: Save) -> None:
    save("hr/a.png", 40, 60)
    upscaler = Bicubic(2)
    upscaler.card.colour = "y"
    result = evaluate_model(upscaler, folder / "hr", 2)
    assert (upscaler.inputs[0].shape, upscaler.inputs[0].dtype) == ((20, 30, 1), np.float32)
    assert "luma alone" in result.protocol


def test_the_protocol_names_the_ensemble(folder: Path, save: Save) -> None:
    save("hr/a.png")
    upscaler = Upscaler("bicubic", scale=2)
    alone, together = (evaluate_model(u, folder / "hr", 2) for u in (upscaler, SelfEnsemble(upscaler)))
    assert "luma alone" in together.protocol
    assert together.protocol == alone.protocol + "; geometric self-ensemble of 8"
    assert together.psnr_y == pytest.approx(alone.psnr_y, abs=1e-3), "bicubic is the same in all directions"


def test_to_dict_is_the_json_that_is_promised(folder: Path, save: Save) -> None:
    save("hr/a.png")
    result = evaluate_model(Bicubic(2), folder / "hr", 2).to_dict()
    assert set(result) == {"model", "scale", "protocol", "psnr_y", "ssim_y", "images"}
    assert [set(image) for image in result["images"]] == [{"name", "psnr_y", "ssim_y"}]
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_grey_goes_in_and_out_as_one_channel(folder: Path, save: Save) -> None:
    hr = save("hr/a.png", 40, 60, grey=True)
    upscaler = Bicubic(2)
    result = evaluate_model(upscaler, folder / "hr", 2)
    assert upscaler.inputs[0].shape == (20, 30, 1)
    assert result.psnr_y == psnr_y(imresize(imresize(hr, 0.5), 2), hr, 2)


def test_16_bit_originals_are_scored_as_8_bit(folder: Path) -> None:
    grey = data.camera()[:40, :60]
    Image.fromarray(grey).save(folder / "hr/a.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "sr/a.png")
    assert evaluate_model(Bicubic(2), folder / "hr", 2).psnr_y == evaluate_model(Bicubic(2), folder / "sr", 2).psnr_y
    assert evaluate_pairs(folder / "sr", folder / "hr", 2).psnr_y == math.inf


def test_luma_only_hands_over_unrounded_luma_and_says_so(folder: Path, save: Save) -> None:
    save("hr/a.png", 40, 60)
    upscaler = Bicubic(2)
    result = evaluate_model(upscaler, folder / "hr", 2, luma_only=True)
    assert upscaler.inputs[0].shape == (20, 30, 1)
    assert upscaler.inputs[0].dtype == np.float32
    assert len(np.unique(upscaler.inputs[0])) > 256
    assert result.protocol.startswith(PROTOCOL + ";")


def test_luma_only_stays_within_the_range_of_an_image(folder: Path) -> None:
    stripes = np.tile(np.uint8([0, 255]), (42, 3)).repeat(12, axis=1)
    Image.fromarray(stripes).save(folder / "hr/a.png")
    upscaler = Bicubic(3)
    evaluate_model(upscaler, folder / "hr", 3, luma_only=True)
    assert upscaler.inputs[0].min() >= 0
    assert upscaler.inputs[0].max() <= 1


def test_progress_is_told_after_each_picture(folder: Path, save: Save) -> None:
    save("hr/a.png")
    save("hr/b.png")
    heard = []
    evaluate_model(Bicubic(2), folder / "hr", 2, progress=lambda done, total, s: heard.append((done, total, s.name)))
    assert heard == [(1, 2, "a"), (2, 2, "b")]


def test_pairs_by_stem_with_or_without_the_scale(folder: Path, save: Save) -> None:
    for name, made in {"a": "a.png", "b": "b_x4.png", "c_x4": "c_x4.webp", "d": "dx4.png", "e": "e-x4.png"}.items():
        hr = save(f"hr/{name}.png", 62, 51)[:60, :48]
        Image.fromarray(imresize(imresize(hr, 0.25), 4)).save(folder / "sr" / made, lossless=True)
    pairs = evaluate_pairs(folder / "sr", folder / "hr", 4)
    assert pairs.images == evaluate_model(Bicubic(4), folder / "hr", 4).images
    assert pairs.model == "sr"


def test_equal_pictures_have_no_finite_psnr_and_json_says_null(folder: Path, save: Save) -> None:
    hr = save("hr/a.png", 40, 40)
    Image.fromarray(hr).save(folder / "sr/a.png")
    result = evaluate_pairs(folder / "sr", folder / "hr", 2)
    assert result.psnr_y == math.inf
    assert result.to_dict()["psnr_y"] is None
    assert result.to_dict()["images"][0]["psnr_y"] is None


def test_grey_result_saved_as_rgb_is_grey(folder: Path, save: Save) -> None:
    hr = save("hr/a.png", 40, 40, grey=True)
    Image.fromarray(np.repeat(hr, 3, axis=2)).save(folder / "sr/a.png")
    assert evaluate_pairs(folder / "sr", folder / "hr", 2).psnr_y == math.inf


class TestRefusals:
    def test_other_scale(self, folder: Path, save: Save) -> None:
        save("hr/a.png")
        with pytest.raises(UsageError, match="by 4, not by 2"):
            evaluate_model(Bicubic(4), folder / "hr", 2)

    def test_no_folder_and_no_pictures(self, folder: Path) -> None:
        with pytest.raises(UsageError, match="not a folder"):
            evaluate_model(Bicubic(4), folder / "absent", 4)
        (folder / "hr/notes.txt").write_text("hello")
        with pytest.raises(UsageError, match="no pictures"):
            evaluate_model(Bicubic(4), folder / "hr", 4)

    def test_model_with_a_wrong_output(self, folder: Path, save: Save) -> None:
        save("hr/a.png")
        broken = Bicubic(4)
        broken.scale = 2
        liar = type("Liar", (), {"scale": 4, "__call__": lambda self, image: broken(image)})()
        with pytest.raises(ModelError, match=re.escape("24 x 30 RGB")):
            evaluate_model(liar, folder / "hr", 4)

    @pytest.mark.parametrize("size", [(3, 50), (12, 50)])
    def test_picture_too_small_is_named(self, folder: Path, save: Save, size: tuple[int, int]) -> None:
        save("hr/tiny.png", *size)
        with pytest.raises(ImageError, match=r"tiny\.png"):
            evaluate_model(Bicubic(4), folder / "hr", 4)

    def test_missing_partner_is_named(self, folder: Path, save: Save) -> None:
        save("hr/a.png")
        save("hr/b.png")
        save("sr/a.png")
        with pytest.raises(UsageError, match=r"hr.b\.png has no upscaled"):
            evaluate_pairs(folder / "sr", folder / "hr", 1)
        save("sr/b.png")
        save("sr/c.png")
        with pytest.raises(UsageError, match=r"sr.c\.png has no original"):
            evaluate_pairs(folder / "sr", folder / "hr", 1)

    def test_two_partners_are_named(self, folder: Path, save: Save) -> None:
        save("hr/a.png")
        save("sr/a.png")
        save("sr/a_x4.png")
        with pytest.raises(UsageError, match=r"a\.png and .*a_x4\.png"):
            evaluate_pairs(folder / "sr", folder / "hr", 4)
        save("sr/a.webp")
        with pytest.raises(UsageError, match="same stem"):
            evaluate_pairs(folder / "sr", folder / "hr", 4)

    def test_size_and_channels_differ(self, folder: Path, save: Save) -> None:
        save("hr/a.png", 62, 51)
        save("sr/a.png", 62, 50)
        with pytest.raises(ImageError, match="48 x 60 RGB"):
            evaluate_pairs(folder / "sr", folder / "hr", 4)
        save("sr/a.png", 60, 48, grey=True)
        with pytest.raises(ImageError, match="48 x 60 grey"):
            evaluate_pairs(folder / "sr", folder / "hr", 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scale", "published"),
    [
        ("Set5", 2, (33.66, 0.9299)),
        ("Set5", 3, (30.39, 0.8682)),
        ("Set5", 4, (28.42, 0.8104)),
        ("Set14", 4, (26.00, 0.7027)),
        ("BSD100", 4, (25.96, 0.6675)),
    ],
)
def test_published_rows_of_bicubic(data_dir: Path, name: str, scale: int, published: tuple[float, float]) -> None:
    result = evaluate_model(Bicubic(scale), data_dir / "test" / name, scale, luma_only=True)
    assert result.psnr_y == pytest.approx(published[0], abs=0.01)
    assert result.ssim_y == pytest.approx(published[1], abs=0.001)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scale", "rounded", "unrounded"),
    [
        ("Set5", 2, (33.640, 0.9292), (33.673, 0.9303)),
        ("Set5", 3, (30.385, 0.8678), (30.403, 0.8689)),
        ("Set5", 4, (28.416, 0.8101), (28.429, 0.8111)),
        ("Set14", 4, (25.990, 0.7023), (25.994, 0.7029)),
        ("BSD100", 4, (25.956, 0.6672), (25.961, 0.6681)),
    ],
)
def test_rows_of_bicubic_on_uint8_pictures(
    data_dir: Path, name: str, scale: int, rounded: tuple[float, float], unrounded: tuple[float, float]
) -> None:
    """The other columns of the table in docs/metrics.md: the protocol, and what it would be without rounding Y."""
    folder = data_dir / "test" / name
    result = evaluate_model(Bicubic(scale), folder, scale)
    assert (result.psnr_y, result.ssim_y) == pytest.approx(rounded, abs=0.0006)
    scores = []
    for path in folder.iterdir():
        hr = read_image(path).pixels
        hr = hr[: len(hr) // scale * scale, : hr.shape[1] // scale * scale]
        sr = imresize(imresize(hr, 1 / scale), scale)
        pair = [luma(image, rounded=False) / 255 for image in (sr, hr)]
        scores.append((psnr(*pair, border=scale), ssim(*pair, border=scale)))
    assert tuple(np.mean(scores, axis=0)) == pytest.approx(unrounded, abs=0.0006)
