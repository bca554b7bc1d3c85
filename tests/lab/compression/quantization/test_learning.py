"""Quantization-aware training is training: the same loop, recipe, running mean and resuming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline import Upscaler  # noqa: E402
from sharpline.lab.boards.onnx_file import export_onnx  # noqa: E402
from sharpline.lab.compression.quantization import to_integer  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, save_network  # noqa: E402
from sharpline.lab.training.loop import train  # noqa: E402
from sharpline.lab.training.recipe_file import load_recipe  # noqa: E402
from sharpline.runtime.integer import upscale_integer  # noqa: E402

CARD = {"version": "1", "description": "test", "licence": "CC0", "training_data": "noise"}


@pytest.fixture
def recipe(edge, simulate, data: Path, tmp_path: Path) -> Path:
    """Four bits, from a checkpoint, by Adam."""
    net = simulate(edge(scale=2, channels=8, depth=1), weights=4, activations=4)
    save_network(tmp_path / "start.safetensors", net, {"name": "start", "card": CARD})
    settings = {
        "name": "qat",
        "network": net.config.model_dump(),
        "init": str(tmp_path / "start.safetensors"),
        "data": {"train": "train", "valid": "valid", "patch": 8, "batch": 4},
        "steps": 12,
        "ema": 0.9,
        "optimiser": {"kind": "adam", "rate": 1e-3},
        "schedule": {"kind": "step", "every": 1000, "warmup": 2},
        "validate_every": 6,
        "card": CARD,
    }
    path = tmp_path / "qat.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_steps_are_learned_averaged_and_exported(recipe: Path, data: Path, tmp_path: Path) -> None:
    run = train(load_recipe(recipe), data, tmp_path / "run", device="cpu")
    start, _ = load_network(tmp_path / "start.safetensors")
    before, after, mean = (net.state_dict() for net in (start, run.net, run.mean))
    for part in ("out_gain", "weight_gain"):
        name = f"layers.1.{part}" if part == "weight_gain" else f"layers.0.{part}"
        assert not torch.equal(before[name], after[name])
        assert not torch.equal(mean[name], after[name])
    for name in ("layers.1.weight_start", "layers.0.out_start", "anchor"):
        assert torch.equal(before[name], mean[name])
    best, _ = load_network(tmp_path / "run" / "best.safetensors")
    model, _ = export_onnx(tmp_path / "run" / "best.safetensors")
    lr = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    np.testing.assert_array_equal(Upscaler(model)(lr), upscale_integer(to_integer(best), lr))


def test_resuming_is_as_if_nothing_had_happened(recipe: Path, data: Path, tmp_path: Path) -> None:
    whole = train(load_recipe(recipe), data, tmp_path / "whole", device="cpu")
    train(load_recipe(recipe, ["steps=6"]), data, tmp_path / "parts", device="cpu")
    parts = train(load_recipe(recipe), data, tmp_path / "parts", resume=True, device="cpu")
    for one, other in ((whole.net, parts.net), (whole.mean, parts.mean)):
        for name, value in one.state_dict().items():
            assert torch.equal(other.state_dict()[name], value), name


@pytest.mark.slow
def test_two_hundred_steps_lower_the_loss_of_four_bits(recipe: Path, data: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    train(
        load_recipe(recipe, ["steps=200", "validate_every=200"]),
        data,
        tmp_path / "run",
        device="cpu",
        report=lambda progress: losses.append(progress.loss),
    )
    assert np.mean(losses[-40:]) < 0.9 * np.mean(losses[:40])
