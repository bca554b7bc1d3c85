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
from sharpline.pixels.imresize import imresize  # noqa: E402


def saved(folder: Path, scale: int) -> Path:
    torch.manual_seed(1)
    net = build({"family": "edge", "channels": 6, "depth": 3, "scale": scale})
    save_network(folder / "teacher.safetensors", net, {"name": "t"})
    return folder / "teacher.safetensors"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return saved(tmp_path, 2)


@pytest.mark.parametrize("scale", [2, 4])
def test_pictures_are_the_teachers(data: Path, scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = saved(data, scale)
    monkeypatch.setattr(teacher, "_TILE", 9)  # several tiles a picture
    cache = open_cache(data / "train", 2, data / "cache")
    taught = teacher.open_taught(cache, checkpoint, 2, data / "cache", torch.device("cpu"))
    net, _ = teacher.load_network(checkpoint)
    for lr, sr in zip(cache.lr, taught, strict=True):
        expected = upscale(net, lr)
        if scale == 4:  # more than the student: shrunk
            expected = imresize(expected, 0.5)
        assert np.abs(sr.astype(int) - expected).max() <= 1

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
