"""Learning from inside of a teacher: features and attention."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from pydantic import ValidationError  # noqa: E402

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training.checkpoint import read_tensors, save_network  # noqa: E402
from sharpline.lab.training.loop import train  # noqa: E402
from sharpline.lab.training.recipe import Teacher  # noqa: E402
from sharpline.lab.training.recipe_file import load_recipe  # noqa: E402
from sharpline.lab.training.transfer import Transfer, attention_distance, feature_distance  # noqa: E402

PAIRS = ["teacher.features={body.0: body.2}", "teacher.attention={head: body.1}"]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    net = build({"family": "edge", "channels": 6, "depth": 3, "scale": 2})
    save_network(tmp_path / "teacher.safetensors", net, {"name": "t"})
    return tmp_path / "teacher.safetensors"


def test_attention_ignores_scale_and_order_of_channels_but_not_places() -> None:
    features = torch.rand(2, 5, 6, 7)
    assert attention_distance(features, 3 * features.flip(1)) < 1e-6
    assert attention_distance(features, features.flip(3)) > 1e-3


def test_features_are_compared_in_the_teachers_units_at_the_students_size() -> None:
    torch.manual_seed(0)
    student, teacher = torch.rand(1, 4, 6, 6), torch.rand(1, 4, 6, 6)
    torch.testing.assert_close(feature_distance(10 * student, 10 * teacher), feature_distance(student, teacher))
    twice = teacher.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert feature_distance(teacher, twice) < 0.1 < feature_distance(student, twice)


def test_only_the_student_and_the_links_learn() -> None:
    torch.manual_seed(0)
    student = build({"family": "edge", "channels": 4, "depth": 2, "scale": 2})
    teacher = build({"family": "edsr", "channels": 8, "blocks": 1, "scale": 2})
    config = Teacher(checkpoint="t", features={"body.1": "head"}, attention={"body.0": "head"})
    transfer, lr = Transfer(student, teacher, config), torch.rand(2, 3, 9, 8)
    student(lr)
    transfer(lr).backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in transfer.links.parameters())
    assert student.body[1].weight.grad is not None
    assert student.tail.weight.grad is None  # it comes after the layers that are compared


def test_training_brings_the_features_closer(data: Path, checkpoint: Path, recipe_file: Path) -> None:
    changes = [f"teacher.checkpoint={checkpoint}", "teacher.weight=0", "teacher.feature_weight=10", *PAIRS]
    distances, lr = [], torch.rand(2, 3, 12, 12)
    for steps in (1, 40):
        run = train(load_recipe(recipe_file, [*changes, f"steps={steps}"]), data, data / "runs" / str(steps))
        with torch.no_grad():
            run.net(lr)
            distances.append(run.objective.transfer(lr).item())
    assert distances[1] < 0.8 * distances[0]


def test_resumed_equals_uninterrupted(data: Path, checkpoint: Path, recipe_file: Path) -> None:
    changes = [f"teacher.checkpoint={checkpoint}", *PAIRS, "schedule.kind=step", "schedule.every=100"]
    whole, parts = data / "runs" / "whole", data / "runs" / "parts"
    train(load_recipe(recipe_file, [*changes, "steps=6"]), data, whole)
    train(load_recipe(recipe_file, [*changes, "steps=3"]), data, parts)
    train(load_recipe(recipe_file, [*changes, "steps=6"]), data, parts, resume=True)
    a, b = (read_tensors(folder / "last.safetensors")[0] for folder in (whole, parts))
    assert any(name.startswith("links.") for name in a)
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("pair", [{"bodi.0": "head"}, {"head": "bodi.0"}])
def test_layers_that_do_not_exist(pair: dict[str, str]) -> None:
    student, teacher = (build({"family": "edge", "channels": n, "depth": 1, "scale": 2}) for n in (4, 6))
    with pytest.raises(UsageError, match=r"has no layer 'bodi\.0'; it has head, body, tail"):
        Transfer(student, teacher, Teacher(checkpoint="t", features=pair))


def test_a_teacher_has_to_teach() -> None:
    with pytest.raises(ValidationError, match="teaches nothing"):
        Teacher(checkpoint="t", weight=0)
