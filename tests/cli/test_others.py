"""models, info, evaluate, export, help."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image
from typer.main import get_group

from sharpline.cli.verbs import app


def _verbs(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, below in getattr(command, "commands", {}).items():
        yield (*words, name)
        yield from _verbs(below, (*words, name))


VERBS = list(_verbs(get_group(app)))
EMBEDDED = ["edge-m-x2", "edge-m-x4", "edge-s-x4"]


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    folder = tmp_path / "hr"
    folder.mkdir()
    Image.fromarray(skimage.data.chelsea()[40:140, 100:203]).save(folder / "cat.png")
    Image.fromarray(skimage.data.camera()[100:180, 200:300]).save(folder / "man.png")
    return folder


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example(sharpline, verb: tuple[str, ...]) -> None:
    result = sharpline(*verb, "--help")
    assert result.code == 0
    assert f"Example: sharpline {' '.join(verb)}" in " ".join(result.out.split())


def test_the_verbs_are_found() -> None:
    assert {("upscale",), ("compress",), ("line", "run"), ("assets", "pull")} <= set(VERBS)


def test_models_lists_what_is_embedded(sharpline) -> None:
    names = [card["name"] for card in json.loads(sharpline("models", "--json").out)]
    assert set(EMBEDDED) <= set(names)
    assert {"bicubic", "lanczos"} <= set(names)
    table = sharpline("models").out
    assert all(name in table for name in EMBEDDED)


@pytest.mark.parametrize("name", [*EMBEDDED, "bicubic"])
def test_info(sharpline, name: str) -> None:
    card = json.loads(sharpline("info", name, "--json").out)
    assert card["name"] == name
    assert card["licence"]
    assert name in sharpline("info", name).out


def test_info_of_what_is_not_a_model(sharpline, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"junk")
    for name in (tmp_path / "x.onnx", tmp_path / "none.onnx", "edge-x-x4"):
        result = sharpline("info", name)
        assert result.code != 0
        assert len(result.err.strip().splitlines()) == 1


def test_evaluate_a_model_beats_bicubic(sharpline, hr: Path) -> None:
    scores = {
        model: json.loads(sharpline("evaluate", "--model", model, "--hr", hr, "--json").out)
        for model in ("edge-m-x4", "bicubic")
    }
    assert scores["edge-m-x4"]["psnr_y"] > scores["bicubic"]["psnr_y"] + 0.3
    assert {"psnr_y", "ssim_y", "protocol", "images"} <= set(scores["bicubic"])
    assert [set(i) for i in scores["bicubic"]["images"]] == [{"name", "psnr_y", "ssim_y"}] * 2


def test_evaluate_pictures_made_elsewhere(sharpline, hr: Path, tmp_path: Path) -> None:
    result = json.loads(sharpline("evaluate", "--sr", hr, "--hr", hr, "--json").out)
    assert result["ssim_y"] == pytest.approx(1)
    table = sharpline("evaluate", "--model", "bicubic", "--hr", hr).out
    assert "mean of 2" in table
    assert "BT.601" in table


def test_evaluate_needs_one_of_two(sharpline, hr: Path) -> None:
    assert sharpline("evaluate", "--hr", hr).code == 2
    assert sharpline("evaluate", "--hr", hr, "--sr", hr, "--model", "bicubic").code == 2


def test_an_embedded_network_is_verified_by_its_name(sharpline) -> None:
    findings = {f["what"]: f["holds"] for f in json.loads(sharpline("verify", "edge-s-x4", "--json").out)}
    assert findings == {"bytes": True, "macs": True, "activation_bytes": True, "ms a frame, median": None}
