"""The teacher's pictures: what the teacher makes, once, whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.data import open_cache  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training import teacher  # noqa: E402
from sharpline.lab.training.checkpoint import save_network  # noqa: E402
from sharpline.lab.training.loop import train  # noqa: E402
from sharpline.lab.training.recipe_file import load_recipe  # noqa: E402
from sharpline.lab.training.validate import upscale  # noqa: E402


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    net = build({"family": "edge", "channels": 6, "depth": 3, "scale": 2})
    save_network(tmp_path / "teacher.safetensors", net, {"name": "t"})
    return tmp_path / "teacher.safetensors"


def test_pictures_are_the_teachers(data: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher, "_TILE", 9)  # several tiles a picture
    cache = open_cache(data / "train", 2, data / "cache")
    taught = teacher.open_taught(cache, checkpoint, 2, data / "cache", torch.device("cpu"))
    net, _ = teacher.load_network(checkpoint)
    for lr, sr in zip(cache.lr, taught, strict=True):
        assert np.abs(sr.astype(int) - upscale(net, lr)).max() <= 1

    def again(*whatever: object) -> None:
        raise AssertionError("made twice")

    monkeypatch.setattr(teacher, "_fill", again)
    kept = teacher.open_taught(cache, checkpoint, 2, data / "cache", torch.device("cpu"))
    assert all(np.array_equal(a, b) for a, b in zip(taught, kept, strict=True))


def test_a_student_learns_from_both(data: Path, checkpoint: Path, recipe_file: Path) -> None:
    changes = [f"teacher.checkpoint={checkpoint}", "teacher.weight=0.5", "steps=4"]
    taught = train(load_recipe(recipe_file, changes), data, data / "runs" / "taught")
    alone = train(load_recipe(recipe_file, ["steps=4"]), data, data / "runs" / "alone")
    assert not torch.equal(taught.net.tail.weight, alone.net.tail.weight)


def test_a_teacher_of_another_scale_is_refused(data: Path, checkpoint: Path, recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file, [f"teacher.checkpoint={checkpoint}", "network.scale=4", "data.patch=4"])
    with pytest.raises(UsageError, match="at x2 cannot teach rgb pictures at x4"):
        train(recipe, data, data / "runs" / "a")
