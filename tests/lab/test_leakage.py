"""Training says when validation pictures are among those it learns from, and looks only once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.training import leakage
from sharpline.lab.training.loop import train
from sharpline.lab.training.recipe_file import load_recipe


def warnings_of(data: Path, recipe_file: Path, name: str) -> list[str]:
    told: list[str] = []
    train(load_recipe(recipe_file, ["steps=1"]), data, data / "runs" / name, warn=told.append)
    return told


def test_a_picture_in_both_sets_is_named_and_looked_for_once(
    data: Path, recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert warnings_of(data, recipe_file, "clean") == []
    shutil.copy(data / "train" / "2.png", data / "valid" / "copy.png")
    first = warnings_of(data, recipe_file, "first")
    assert [line.partition(":")[0] for line in first] == [
        "1 of 3 validation pictures are trained on too (copy.png is 2.png)"
    ]
    monkeypatch.setattr(leakage, "cached_leaks", lambda *_: pytest.fail("was known already"))
    assert warnings_of(data, recipe_file, "second") == first
