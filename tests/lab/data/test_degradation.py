"""Degradations keep their laws, their seeds and their ranges, and their recipes are strict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import ImageError, UsageError
from sharpline.lab.data.degradation import BICUBIC, Degradation, degrade, load_degradation
from sharpline.lab.data.degradation.blur import blurred
from sharpline.lab.data.degradation.draw import Draw
from sharpline.lab.data.degradation.jpeg import compressed
from sharpline.lab.data.degradation.kernels import (
    disc_kernel,
    gaussian_kernel,
    motion_kernel,
    read_kernel,
    sinc_kernel,
)
from sharpline.lab.data.degradation.noise import gaussian_noise, poisson_noise, read_noise
from sharpline.lab.data.degradation.resize import resized
from sharpline.pixels.imresize import imresize

PRESETS = sorted((Path(__file__).parents[3] / "recipes" / "degradations").glob("*.yaml"))
GREY = np.full((256, 256, 3), 0.5, np.float32)

widths = st.floats(0.05, 6)
angles = st.floats(-360, 360)
kernels = st.one_of(
    st.builds(gaussian_kernel, widths, widths, angles),
    st.builds(
        gaussian_kernel,
        widths,
        widths,
        angles,
        size=st.sampled_from([1, 7, 21]),
        profile=st.sampled_from(["generalised", "plateau"]),
        beta=st.floats(0.5, 4),
    ),
    st.builds(disc_kernel, st.floats(0, 8)),
    st.builds(motion_kernel, st.floats(0, 20), angles),
    st.builds(sinc_kernel, st.floats(0.1, 1), st.sampled_from([1, 3, 13, 21])),
)


def recipe(*steps: dict[str, Any]) -> Degradation:
    return Degradation.model_validate({"name": "test", "steps": steps})


def cat(height: int = 96, width: int = 128) -> np.ndarray:
    return np.ascontiguousarray(skimage.data.chelsea()[80 : 80 + height, 100 : 100 + width])


# Kernels and blur


@settings(deadline=None)
@given(kernels)
def test_kernels_are_odd_sum_to_one_and_are_centred(kernel: np.ndarray) -> None:
    assert kernel.shape[0] % 2 == kernel.shape[1] % 2 == 1
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-9)


@settings(deadline=None)
@given(
    kernels,
    npst.arrays(
        np.float32, st.tuples(*[st.integers(1, 24)] * 2, st.sampled_from([1, 3])), elements=st.floats(0, 1, width=32)
    ),
)
def test_blur_keeps_shape_and_uniform_pictures(kernel: np.ndarray, picture: np.ndarray) -> None:
    out = blurred(picture, kernel)
    assert out.shape == picture.shape
    assert out.dtype == np.float32
    np.testing.assert_allclose(blurred(np.full_like(picture, 0.7), kernel), 0.7, atol=1e-5)


@settings(deadline=None)
@given(sigma=widths, seed=st.integers(0, 99), shape=st.tuples(*[st.integers(1, 40)] * 2))
def test_blur_keeps_the_mean(sigma: float, seed: int, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(seed).random((*shape, 3), np.float32)
    for kernel in (gaussian_kernel(sigma, sigma), disc_kernel(sigma)):
        np.testing.assert_allclose(blurred(picture, kernel).mean((0, 1)), picture.mean((0, 1)), atol=2e-5)


def test_kernels_have_the_widths_and_directions_that_they_say() -> None:
    def spread(kernel: np.ndarray) -> tuple[float, float, float]:
        y, x = (n - kernel.shape[0] // 2 for n in np.indices(kernel.shape))
        return float((kernel * x * x).sum()), float((kernel * y * y).sum()), float((kernel * x * -y).sum())

    assert spread(gaussian_kernel(3, 1.5))[:2] == pytest.approx((9, 2.25), rel=0.02)
    assert spread(disc_kernel(6))[0] == pytest.approx(6**2 / 4, rel=0.03)  # of a disc: r^2 / 4
    assert spread(motion_kernel(12, 0))[:2] == pytest.approx((12**2 / 12, 0), rel=0.03, abs=1e-9)
    assert spread(motion_kernel(12, 90))[1] == pytest.approx(12, rel=0.03)
    assert spread(motion_kernel(12, 45))[2] > 5  # towards the top right
    assert spread(gaussian_kernel(3, 1, 45))[2] > 3


def test_blur_is_a_convolution() -> None:
    point = np.zeros((9, 9, 1), np.float32)
    point[4, 4] = 1
    lopsided = np.arange(9, dtype=np.float64).reshape(3, 3) / 36
    np.testing.assert_allclose(blurred(point, lopsided)[3:6, 3:6, 0], lopsided, atol=1e-6)


def test_sinc_keeps_low_and_removes_high_frequencies() -> None:
    x = np.arange(128)
    for frequency, kept in ((0.2, 1.0), (0.8, 0.0)):
        wave = np.broadcast_to(np.cos(np.pi * frequency * x)[None, :, None], (128, 128, 1)).astype(np.float32)
        out = blurred(wave, sinc_kernel(0.5, 41))[32:-32, 32:-32]
        assert np.abs(out).max() == pytest.approx(kept, abs=0.12)


def test_given_kernels(tmp_path: Path) -> None:
    psf = np.arange(12.0).reshape(3, 4)
    np.save(tmp_path / "psf.npy", psf)
    Image.fromarray((gaussian_kernel(1, 1) * 1000).astype(np.uint8)).save(tmp_path / "psf.png")
    read = read_kernel(tmp_path / "psf.npy")
    assert read.shape == (3, 5)
    np.testing.assert_allclose(read[:, :4], psf / 66)
    assert read_kernel(tmp_path / "psf.png").sum() == pytest.approx(1)
    (tmp_path / "r.yaml").write_text("name: given\nsteps: [{kind: psf, file: psf.npy}, {kind: downsample}]\n")
    given = load_degradation(tmp_path / "r.yaml")
    assert degrade(cat(), given, 4, seed=0, name="a").lr.shape == (24, 32, 3)
    before = given.fingerprint()
    np.save(tmp_path / "psf.npy", psf + 1)
    assert given.fingerprint() != before


@pytest.mark.parametrize(
    "bad", [np.zeros((3, 3)), np.ones(3), np.array([[np.nan]]), np.ones((2, 2), object), np.ones((3, 600))]
)
def test_kernels_that_are_none(tmp_path: Path, bad: np.ndarray) -> None:
    np.save(tmp_path / "psf.npy", bad, allow_pickle=True)
    with pytest.raises(ImageError, match=r"psf\.npy"):
        read_kernel(tmp_path / "psf.npy")


# Resizing


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_equals_imresize(scale: int) -> None:
    hr = cat(96, 132)
    assert np.array_equal(degrade(hr, BICUBIC, scale, seed=0, name="a").lr, imresize(hr, 1 / scale))
    preset = load_degradation(next(path for path in PRESETS if path.stem == "bicubic"))
    assert np.array_equal(degrade(hr, preset, scale, seed=5, name="b").lr, imresize(hr, 1 / scale))


def test_area_is_the_mean_of_blocks() -> None:
    picture = np.random.default_rng(0).random((12, 20, 3), np.float32)
    blocks = picture.reshape(3, 4, 5, 4, 3).mean((1, 3))
    np.testing.assert_allclose(resized(picture, (3, 5), "area"), blocks, atol=1e-6)


@settings(deadline=None)
@given(
    old=st.tuples(*[st.integers(1, 30)] * 2),
    new=st.tuples(*[st.integers(1, 30)] * 2),
    method=st.sampled_from(["bicubic", "bilinear", "area", "nearest"]),
    antialias=st.booleans(),
)
def test_any_size_to_any_size(old: tuple[int, int], new: tuple[int, int], method: Any, antialias: bool) -> None:
    picture = np.random.default_rng(0).random((*old, 3), np.float32)
    out = resized(picture, new, method, antialias=antialias)
    assert out.shape == (*new, 3)
    if method == "nearest":
        assert set(out.ravel()) <= set(picture.ravel())


# Noise


@pytest.mark.parametrize("sigma", [0, 2, 25])
def test_gaussian_noise_has_the_sigma_that_it_says(sigma: float) -> None:
    noise = (gaussian_noise(GREY, sigma, np.random.default_rng(0)) - GREY) * 255
    assert noise.std() == pytest.approx(sigma, rel=0.01)
    assert abs(noise.mean()) <= 0.02 * sigma
    assert abs((noise[..., 0] * noise[..., 1]).mean()) <= 0.02 * sigma**2


@pytest.mark.parametrize("light", [0.1, 0.5, 1.0])
def test_shot_noise_grows_with_the_light(light: float) -> None:
    noise = (poisson_noise(GREY * 2 * light, 8, np.random.default_rng(0)) - GREY * 2 * light) * 255
    assert noise.std() == pytest.approx(8 * light**0.5, rel=0.01)
    assert abs(noise.mean()) < 0.1


@pytest.mark.parametrize("add", [gaussian_noise, poisson_noise])
def test_grey_noise_is_the_same_in_all_channels(add: Any) -> None:
    noise = add(GREY, 10, np.random.default_rng(0), grey=True) - GREY
    np.testing.assert_allclose(noise[..., 0], noise[..., 2], atol=1e-6)
    assert noise.std() * 255 == pytest.approx(10 * (0.5**0.5 if add is poisson_noise else 1), rel=0.02)


def test_read_noise_has_stripes() -> None:
    noise = (read_noise(np.full((2000, 60, 3), 0.5, np.float32), 3, 6, np.random.default_rng(0)) - 0.5) * 255
    assert noise.std() == pytest.approx((3**2 + 6**2) ** 0.5, rel=0.05)
    assert (noise - noise.mean((1, 2), keepdims=True)).std() == pytest.approx(3, rel=0.02)


# JPEG


def test_jpeg_loses_more_at_lower_quality() -> None:
    picture = cat().astype(np.float32) / 255
    errors = [float(np.square(compressed(picture, quality) - picture).mean()) for quality in (95, 60, 20)]
    assert 0 < errors[0] < errors[1] < errors[2] < 0.01


@settings(deadline=None)
@given(st.tuples(*[st.integers(1, 20)] * 2), st.sampled_from([1, 3]), st.integers(1, 100))
def test_jpeg_of_any_size(size: tuple[int, int], channels: int, quality: int) -> None:
    picture = np.random.default_rng(0).random((*size, channels), np.float32)
    out = compressed(picture, quality)
    assert out.shape == picture.shape
    assert out.dtype == np.float32
    assert 0 <= out.min() <= out.max() <= 1


# Recipes


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("height", "width", "channels", "dtype"), [(48, 64, 3, np.uint8), (4, 4, 1, np.uint16), (20, 4, 3, np.float32)]
)
def test_presets_make_lr_of_the_right_kind(path: Path, height: int, width: int, channels: int, dtype: Any) -> None:
    preset = load_degradation(path)
    random = np.random.default_rng(0)
    hr = random.random((height, width, channels), np.float32)
    hr = hr if dtype == np.float32 else (hr * np.iinfo(dtype).max).astype(dtype)
    for name in "abcdefgh":
        lr, drawn = degrade(hr, preset, 4, seed=1, name=name)
        assert lr.shape == (height // 4, width // 4, channels)
        assert lr.dtype == hr.dtype
        assert any(step["kind"] == "downsample" for step in drawn)


def test_presets_are_all_there() -> None:
    assert [path.stem for path in PRESETS] == ["bicubic", "cheap-camera", "classical", "real-esrgan"]


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_seed_and_name_decide_and_nothing_else(path: Path) -> None:
    preset, hr = load_degradation(path), cat()
    first = {name: degrade(hr, preset, 4, seed=3, name=name) for name in ("a", "b", "c")}
    for name in ("c", "a", "b"):
        again = degrade(hr, preset, 4, seed=3, name=name)
        assert again.lr.tobytes() == first[name].lr.tobytes()
        assert again.drawn == first[name].drawn
    if path.stem != "bicubic":
        assert first["a"].drawn != first["b"].drawn
        assert degrade(hr, preset, 4, seed=4, name="a").drawn != first["a"].drawn


@settings(deadline=None)
@given(low=st.floats(0.1, 5), more=st.floats(0, 5), seed=st.integers(0, 2**40))
def test_ranges_are_respected(low: float, more: float, seed: int) -> None:
    draw = Draw(seed, "a", (8, 8), (2, 2))
    draw.begin("test")
    assert low <= draw.number("x", (low, low + more)) <= low + more
    assert 30 <= draw.whole("quality", (30, 32)) <= 32
    made = recipe({"kind": "gaussian-blur", "sigma": [low, low + more], "size": [7, 9]}, {"kind": "downsample"})
    drawn = degrade(np.zeros((4, 4, 3), np.uint8), made, 4, seed=seed, name="a").drawn[0]
    assert low - 1e-4 <= drawn["sigma"] <= low + more + 1e-4
    assert drawn["size"] in (7, 9)


def test_ranges_are_used_whole_and_choices_by_weight() -> None:
    choices = [{"kind": "jpeg", "quality": [40, 44]}, {"kind": "defocus", "radius": 1}, {"kind": "sinc", "cutoff": 1}]
    made = recipe(
        {"kind": "one-of", "weights": [3, 1, 0], "choices": choices},
        {"kind": "gaussian-noise", "sigma": 1, "probability": 0.25},
        {"kind": "downsample"},
    )
    hr = np.zeros((2, 2, 3), np.uint8)
    drawn = [degrade(hr, made, 2, seed=0, name=str(n)).drawn for n in range(400)]
    first = [steps[0]["kind"] for steps in drawn]
    assert first.count("jpeg") / 400 == pytest.approx(0.75, abs=0.07)
    assert "sinc" not in first
    assert {steps[0].get("quality") for steps in drawn} == {None, 40, 41, 42, 43, 44}
    assert sum(len(steps) == 3 for steps in drawn) / 400 == pytest.approx(0.25, abs=0.07)


def test_the_model_is_blur_then_downsampling_then_noise() -> None:
    hr = cat()
    made = recipe(
        {"kind": "gaussian-blur", "sigma": 1.5},
        {"kind": "downsample", "method": "area"},
        {"kind": "gaussian-noise", "sigma": 5},
    )
    clean = resized(blurred(hr.astype(np.float32) / 255, gaussian_kernel(1.5, 1.5)), (24, 32), "area")
    residual = degrade(hr, made, 4, seed=0, name="a").lr / 255 - clean
    assert residual.std() * 255 == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("[{kind: gausian-blur, sigma: 1}]", "did you mean gaussian-blur"),
        ("[{sigma: 1}]", "has no kind"),
        ("[downsample]", "steps"),
        ("[{kind: gaussian-blur, sigm: 1}]", "did you mean 'sigma'"),
        ("[{kind: motion-blur, length: [3, 1]}]", "lower one first"),
        ("[{kind: motion-blur, length: [1, 2, 3]}]", "number or"),
        ("[{kind: motion-blur, length: long}]", "number or"),
        ("[{kind: jpeg, quality: [0, 50]}]", "between 1 and 100"),
        ("[{kind: jpeg, quality: .nan}]", "finite"),
        ("[{kind: jpeg, quality: 50, probability: 2}]", "probability"),
        ("[{kind: one-of, choices: [{kind: jpeg, qualty: 50}]}]", "did you mean 'quality'"),
        ("[{kind: one-of, choices: [{kind: jpeg, quality: 50}], weights: [1, 2]}]", "2 weights for 1"),
        ("[{kind: one-of, choices: [{kind: jpeg, quality: 50}], weights: [0]}]", "not all 0"),
        ("[{kind: psf, file: nowhere.npy}]", r"nowhere\.npy"),
        ("[]", "steps"),
        ("3", "steps"),
    ],
)
def test_recipes_are_strict(tmp_path: Path, steps: str, words: str) -> None:
    (tmp_path / "r.yaml").write_text(f"name: r\nsteps: {steps}\n")
    with pytest.raises(UsageError, match=words) as error:
        load_degradation(tmp_path / "r.yaml")
    assert "r.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_recipes_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("- 1")
    (tmp_path / "broken.yaml").write_text("{")
    for name, words in (("none", "cannot be read"), ("list", "mapping"), ("broken", "not YAML")):
        with pytest.raises(UsageError, match=words):
            load_degradation(tmp_path / f"{name}.yaml")


def test_a_recipe_has_to_end_at_the_lr_size() -> None:
    for steps in ([{"kind": "jpeg", "quality": 50}], [{"kind": "downsample"}, {"kind": "resize", "factor": 0.5}]):
        with pytest.raises(UsageError, match="downsample"):
            degrade(cat(), recipe(*steps), 4, seed=0, name="a")
    with pytest.raises(UsageError, match="multiples"):
        degrade(cat(97), BICUBIC, 4, seed=0, name="a")
