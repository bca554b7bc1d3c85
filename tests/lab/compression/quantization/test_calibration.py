"""What is noted of activations, and where they are cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.compression.quantization import calibrate, calibration_pictures  # noqa: E402
from sharpline.lab.compression.quantization.clipping import clipping_ranges  # noqa: E402
from sharpline.lab.compression.quantization.ranges import tensor_range  # noqa: E402
from sharpline.lab.compression.quantization.steps import (  # noqa: E402
    bilinear_fractions,
    integer_anchor,
    tail_units,
    weight_steps,
)
from sharpline.lab.networks.fake_quant import weight_levels  # noqa: E402


def test_calibration_sees_what_the_network_computes(edge, pictures) -> None:
    net = edge()
    seen: list[torch.Tensor] = []
    net.body[0].register_forward_hook(lambda module, inputs, output: seen.append(output.detach()[0].flatten(1)))
    with torch.no_grad():
        for picture in pictures:
            net(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
    expected = torch.cat(seen, 1).clamp_min(0).numpy() * 255
    found = calibrate(net, pictures).activations[1]
    np.testing.assert_allclose(found.largest, expected.max(1), rtol=1e-4, atol=1e-3)
    assert (found.counts.sum(1)[found.largest > 0] == expected.shape[1]).all()
    upper_half = (expected > expected.max(1, keepdims=True) / 2).sum(1)
    assert np.abs(found.counts[:, 1024:].sum(1) - upper_half)[found.largest > 0].max() <= 2


def test_pictures_that_reach_both_ends_come_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, (low, high) in {"a": (90, 120), "b": (0, 255), "c": (40, 200), "d": (100, 101)}.items():
        pixels = rng.choice(np.array([low, high], np.uint8), (8, 8)).repeat(16, 0).repeat(16, 1)
        Image.fromarray(np.stack([pixels] * 3, 2)).save(tmp_path / f"{name}.png")
    spans = [int(p.max()) - int(p.min()) for p in calibration_pictures(tmp_path, 2)]
    assert spans == sorted(spans, reverse=True)
    first = calibration_pictures(tmp_path, 2, count=1)[0]
    assert (first.min(), first.max(), first.shape) == (0, 255, (64, 64, 3))
    assert calibration_pictures(tmp_path, 2, "y", count=1)[0].shape == (64, 64, 1)


def laplace(scale: float, outlier: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    values = np.maximum(np.random.default_rng(0).laplace(0, scale, 200_000), 0)
    values[0] = max(outlier, values.max())
    counts, _ = np.histogram(values, 2048, (0, values.max()))
    return counts[None], np.array([values.max()])


def test_minmax_keeps_everything_and_percentile_a_share() -> None:
    counts, largest = laplace(10)
    assert clipping_ranges(counts, largest, 255, "minmax", 99)[0] == largest[0]
    cut = clipping_ranges(counts, largest, 255, "percentile", 99)[0]
    assert cut == pytest.approx(10 * np.log(50), rel=0.02)  # a hundredth of all is a fiftieth of the positive half


def test_mse_is_the_smallest_error_and_cuts_more_with_fewer_bits() -> None:
    counts, largest = laplace(10)
    values = (np.arange(2048) + 0.5) / 2048 * largest[0]

    def error(cut: float) -> float:
        levels = np.clip(np.rint(values / cut * 15), 0, 15)
        return float((((levels * cut / 15 - values) ** 2) * counts[0])[1:].sum())

    best = clipping_ranges(counts, largest, 15, "mse", 99)[0]
    assert error(best) <= min(error(c) for c in np.linspace(0.05, 1, 20) * largest[0]) * 1.02
    assert best < clipping_ranges(counts, largest, 255, "mse", 99)[0]


@pytest.mark.parametrize(("top", "ratio"), [(255, 11.16), (15, 6.20)])
def test_aciq_has_its_published_constants_and_no_eye_for_outliers(top: int, ratio: float) -> None:
    # The paper's table for b + 1 bits over both signs: 6.20 at 5 bits, 11.16 at 9.
    counts, largest = laplace(10)
    far_counts, far_largest = laplace(10, outlier=2000.0)
    assert min(clipping_ranges(counts, largest, top, "aciq", 99)[0], largest[0]) == pytest.approx(
        min(10 * ratio, largest[0]), rel=0.02
    )
    assert clipping_ranges(far_counts, far_largest, top, "aciq", 99)[0] == pytest.approx(10 * ratio, rel=0.05)


def test_a_dead_channel_has_no_range() -> None:
    counts = np.zeros((1, 2048), np.int64)
    for clipping in ("minmax", "percentile", "mse", "aciq"):
        assert clipping_ranges(counts, np.zeros(1), 255, clipping, 99)[0] == 0


def test_a_range_of_both_signs_holds_zero() -> None:
    assert tensor_range([np.array([3.0, 5.0], np.float32)], "minmax", 100)[0] == 0
    assert tensor_range([np.array([-3.0, -5.0], np.float32)], "minmax", 100) == (-5.0, 0.0)
    assert tensor_range([np.zeros(4, np.float32)], "mse", 100) == (0.0, 1.0)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_weight_steps_beat_those_of_the_largest_weight(bits: int) -> None:
    torch.manual_seed(0)
    weight, importance = torch.randn(6, 8, 3, 3), torch.rand(8) + 0.1

    def error(step: torch.Tensor) -> torch.Tensor:
        wide = step.view(-1, 1, 1, 1)
        return ((weight - weight_levels(weight, wide, bits, "lsq") * wide).square().sum((2, 3)) * importance).sum(1)

    chosen = weight_steps(weight, bits, "lsq", importance)
    naive = weight.abs().flatten(1).amax(1) / (2 ** (bits - 1) - 1)
    assert (error(chosen) <= error(naive) * 1.001).all()


@pytest.mark.parametrize(("scale", "colours"), [(2, 3), (3, 1), (4, 3), (8, 1)])
@pytest.mark.parametrize("size", [0.001, 0.05, 5.0])
def test_the_anchor_is_bilinear_and_keeps_even_surfaces(scale: int, colours: int, size: float) -> None:
    torch.manual_seed(0)
    weight = torch.randn(scale**2 * colours, 4, 1, 1) * size
    units = tail_units(weight, torch.ones(4), bilinear_fractions(scale), colours)
    anchor = integer_anchor(units, bilinear_fractions(scale), colours)
    np.testing.assert_array_equal(anchor.sum((1, 2)), units)
    assert (anchor >= 0).all()
    exact = torch.nn.functional.interpolate(torch.eye(9).view(9, 1, 3, 3), scale_factor=scale, mode="bilinear")
    block = exact[:, 0, scale : 2 * scale, scale : 2 * scale].reshape(9, -1)  # taps of the middle pixel's block
    shares = (anchor.reshape(-1, colours, 9) / units.reshape(-1, colours, 1))[:, 0]
    fine = units.reshape(-1, colours)[:, 0, None]
    assert (np.abs(shares - block.numpy().T) <= 1 / fine).all()
    if size < 1:
        np.testing.assert_allclose(shares, block.numpy().T, atol=1e-6)
