"""Checkpoints wherever the command line takes a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.cli import wing
from sharpline.lab.networks import build
from sharpline.lab.training.checkpoint import save_network


@pytest.fixture
def hr(tmp_path: Path) -> Path:
    folder = tmp_path / "hr"
    folder.mkdir()
    Image.fromarray(skimage.data.chelsea()[40:120, 100:183]).save(folder / "cat.png")
    return folder


@pytest.fixture
def edge(tmp_path: Path) -> Path:
    save_network(
        tmp_path / "edge.safetensors",
        build({"family": "edge", "channels": 4, "depth": 0, "scale": 2}),
        {"name": "tiny-edge", "card": {"licence": "CC0"}},
    )
    return tmp_path / "edge.safetensors"


@pytest.fixture
def vdsr(tmp_path: Path) -> Path:
    net = build({"family": "vdsr", "channels": 2, "depth": 2, "scale": 3})
    for p in net.parameters():  # nothing but the bicubic picture
        p.data.zero_()
    save_network(tmp_path / "vdsr.safetensors", net, {"name": "tiny-vdsr", "card": {}})
    return tmp_path / "vdsr.safetensors"


def test_evaluate_takes_the_scale_of_the_checkpoint(sharpline, hr: Path, edge: Path) -> None:
    result = json.loads(sharpline("evaluate", "--model", edge, "--hr", hr, "--json").out)
    assert (result["model"], result["scale"]) == ("tiny-edge", 2)
    assert set(result) == {"model", "scale", "protocol", "psnr_y", "ssim_y", "images"}
    assert result["psnr_y"] > 20


def test_a_checkpoint_and_its_file_score_the_same(sharpline, hr: Path, edge: Path, tmp_path: Path) -> None:
    assert sharpline("export", edge, "-o", tmp_path / "edge.onnx").code == 0
    scores = [sharpline("evaluate", "--model", m, "--hr", hr, "--json").out for m in (edge, tmp_path / "edge.onnx")]
    assert scores[0] == scores[1]
    cards = [sharpline("info", m, "--json").out for m in (edge, tmp_path / "edge.onnx")]
    assert cards[0] == cards[1]


def test_vdsr_without_a_residual_scores_as_bicubic_at_another_scale(sharpline, hr: Path, vdsr: Path) -> None:
    scores = [
        json.loads(sharpline("evaluate", "--model", model, "--hr", hr, "--scale", 2, "--json").out)
        for model in (vdsr, "bicubic")
    ]
    assert "luma alone" in scores[0]["protocol"]
    assert scores[0]["psnr_y"] == pytest.approx(scores[1]["psnr_y"], abs=1e-3)


def test_upscale(sharpline, hr: Path, edge: Path) -> None:
    result = sharpline("upscale", hr / "cat.png", "--model", edge, "--json")
    assert json.loads(result.out)["model"] == "tiny-edge"
    with Image.open(hr / "cat_x2.png") as picture:
        assert picture.size == (166, 160)


@pytest.mark.parametrize("verb", ["evaluate", "upscale", "export"])
def test_another_scale_is_refused_in_one_line(sharpline, hr: Path, edge: Path, tmp_path: Path, verb: str) -> None:
    arguments = {
        "evaluate": ["--model", edge, "--hr", hr],
        "upscale": [hr / "cat.png", "--model", edge],
        "export": [edge, "-o", tmp_path / "x.onnx"],
    }[verb]
    result = sharpline(verb, *arguments, "--scale", 4)
    assert result.code == 2
    assert result.err.strip() == f"error: {edge}: this edge enlarges 2 times, not 4"
    assert [p.name for p in hr.iterdir()] == ["cat.png"]
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("verb", ["evaluate", "upscale", "info"])
def test_without_the_lab_one_line_says_what_to_install(sharpline, monkeypatch, hr: Path, edge: Path, verb: str) -> None:
    monkeypatch.setattr(wing, "find_spec", lambda name: None)
    arguments = {"evaluate": ["--hr", hr, "--model"], "upscale": [hr / "cat.png", "--model"], "info": []}[verb]
    result = sharpline(verb, *arguments, edge)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1
    assert "pip install 'sharpline[lab]'" in result.err
    assert sharpline("evaluate", "--hr", hr, "--model", "bicubic").code == 0


@pytest.mark.parametrize("verb", ["evaluate", "upscale", "info"])
def test_what_is_no_checkpoint(sharpline, hr: Path, tmp_path: Path, verb: str) -> None:
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    arguments = {"evaluate": ["--hr", hr, "--model"], "upscale": [hr / "cat.png", "--model"], "info": []}[verb]
    for name, code in (("junk.safetensors", 1), ("none.safetensors", 2)):
        result = sharpline(verb, *arguments, tmp_path / name)
        assert result.code == code
        assert len(result.err.strip().splitlines()) == 1
        assert name in result.err


def test_ensemble(sharpline, hr: Path) -> None:
    alone, together = (
        json.loads(sharpline("evaluate", "--model", "edge-s-x4", "--hr", hr, "--json", *more).out)
        for more in ([], ["--ensemble"])
    )
    assert together["psnr_y"] > alone["psnr_y"]
    assert "self-ensemble" in together["protocol"]
    assert sharpline("evaluate", "--sr", hr, "--hr", hr, "--ensemble").code == 2


def test_evaluate_without_a_scale_takes_the_models_own(sharpline, hr: Path) -> None:
    scales = [
        json.loads(sharpline("evaluate", *given, "--hr", hr, "--json").out)["scale"]
        for given in (["--model", "edge-m-x2"], ["--model", "lanczos"], ["--sr", hr])
    ]
    assert scales == [2, 4, 4]


def test_info_tells_whether_tiles_are_exact(sharpline, edge: Path, tmp_path: Path) -> None:
    from sharpline.lab.boards.onnx_file import export_onnx, write_model
    from sharpline.runtime.card import embed_card

    model, card = export_onnx(edge)
    write_model(embed_card(model, card.model_copy(update={"tile_error": 0.125})), tmp_path / "far.onnx")
    assert "differ by up to 0.125 levels" in sharpline("info", tmp_path / "far.onnx").out
    assert json.loads(sharpline("info", tmp_path / "far.onnx", "--json").out)["tile_error"] == 0.125
    assert "exact" in sharpline("info", edge).out


def test_the_scales_that_are_known_are_named(sharpline, hr: Path, vdsr: Path) -> None:
    result = sharpline("evaluate", "--model", vdsr, "--hr", hr, "--scale", 5)
    assert result.err.strip() == f"error: {vdsr}: this vdsr enlarges 2, 3 or 4 times, not 5"


def test_a_folder_is_no_checkpoint(sharpline, edge: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert "is a folder, not a checkpoint" in sharpline("export", run, "-o", tmp_path / "x.onnx").err
    edge.rename(run / "best.safetensors")
    assert f"did you mean {run / 'best.safetensors'}?" in sharpline("export", run, "-o", tmp_path / "x.onnx").err
    assert f"did you mean {run / 'best.safetensors'}?" in sharpline("evaluate", "--model", run, "--hr", run).err
