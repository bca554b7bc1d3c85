"""``sharpline compile``: what it makes, where, and what it says when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compiled_c import compiled_in_c, saved_model, small_model
from networks_onnx import random_network, save
from sharpline.cli import compile as verb
from sharpline.compiler.schedule import Schedule, read_schedules, schedules_of, write_schedule
from sharpline.errors import UsageError
from sharpline.pixels.reading import read_image
from sharpline.runtime.integer import network_digest, upscale_integer
from sharpline.runtime.processor import FEATURES, fitting_targets


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved_model(small_model(), tmp_path / "small.onnx")


@pytest.fixture
def native() -> str:
    fitting = fitting_targets()
    if not fitting:
        pytest.skip("no compiled variant is for this processor")
    return fitting[0]


@pytest.fixture
def in_c(monkeypatch) -> None:
    """The slow and simple compiler in the place of the real one."""

    def compile_model(model, target, path, *, name, digest, schedule=None):
        assert digest == network_digest(model)
        compiled_in_c(model, path, target)

    monkeypatch.setattr(verb, "compile_model", compile_model)


def enlarged(sharpline, model: Path) -> None:
    """The model's variant is found and makes the judge's picture."""
    lr = np.random.default_rng(0).integers(0, 256, (11, 13, 3), np.uint8)
    photo = model.with_name("photo.png")
    Image.fromarray(lr).save(photo)
    assert (
        sharpline("upscale", photo, "--model", model, "--engine", "compiled", "-o", model.with_name("o.png")).code == 0
    )
    sr = read_image(model.with_name("o.png")).pixels
    np.testing.assert_array_equal(sr, upscale_integer(small_model(), lr))


@pytest.mark.slow
def test_tuned_it_keeps_how_and_is_compiled_so_ever_after(sharpline, model: Path, native: str) -> None:
    pytest.importorskip("ziglang", reason="the compiler's package, ziglang, is not installed")
    assert sharpline("compile", model, "--tune").code == 0
    assert list(read_schedules(schedules_of(model))) == [native]
    enlarged(sharpline, model)
    tuned = model.with_name(f"small.{native}.so").read_bytes()
    write_schedule(schedules_of(model), native, Schedule(2, 1, 1))
    assert sharpline("compile", model).code == 0
    assert model.with_name(f"small.{native}.so").read_bytes() != tuned


def test_only_what_runs_here_can_be_tuned(sharpline, model: Path) -> None:
    result = sharpline("compile", model, "--tune", "--target", "all", "-o", f"{model.with_name('new')}/")
    assert result.code == 2
    assert "--tune measures, and only what this processor runs" in result.err
    assert not model.with_name("new").exists()


@pytest.mark.slow
def test_what_it_makes_is_run(sharpline, model: Path, native: str) -> None:
    pytest.importorskip("ziglang", reason="the compiler's package, ziglang, is not installed")
    result = sharpline("compile", model)
    assert result.code == 0, result.err
    assert f"small.{native}.so" in result.err
    enlarged(sharpline, model)


@pytest.mark.usefixtures("in_c")
def test_native_is_the_default_and_the_report_says_what_was_made(sharpline, model: Path, native: str) -> None:
    result = sharpline("compile", model, "--json")
    assert result.code == 0
    report = json.loads(result.out)
    assert report["network"] == network_digest(small_model())
    assert [Path(library["file"]).name for library in report["libraries"]] == [f"small.{native}.so"]
    assert report["libraries"][0]["bytes"] == model.with_name(f"small.{native}.so").stat().st_size
    enlarged(sharpline, model)


@pytest.mark.usefixtures("in_c")
def test_targets_are_added_to_the_list_and_all_is_all(sharpline, model: Path) -> None:
    def listed() -> set[str]:
        return set(json.loads(model.with_name("small.libraries.json").read_text())["libraries"])

    assert sharpline("compile", model, "--target", "arm64-neon").code == 0
    assert listed() == {"arm64-neon"}
    assert sharpline("compile", model, "--target", "arm64-dotprod", "--target", "arm64-neon").code == 0
    assert listed() == {"arm64-neon", "arm64-dotprod"}
    assert sharpline("compile", model, "--target", "all").code == 0
    assert listed() == set(FEATURES)


@pytest.mark.usefixtures("in_c")
@pytest.mark.parametrize("name", ["board", "board/engine.so"])
def test_the_result_can_go_elsewhere(sharpline, model: Path, native: str, name: str) -> None:
    board = model.with_name("board")
    assert sharpline("compile", model, "-o", model.parent / name).code == 0
    library = "engine.so" if name.endswith(".so") else f"small.{native}.so"
    assert sorted(file.name for file in board.iterdir()) == sorted([library, "small.libraries.json"])
    model.rename(board / "small.onnx")
    enlarged(sharpline, board / "small.onnx")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--target", "arm64-neno"], 2, "did you mean arm64-neon?"),
        (["--target", "all", "-o", "one.so"], 2, "one file, and there are 5 targets"),
    ],
)
def test_what_cannot_be_meant(sharpline, model: Path, native: str, monkeypatch, arguments, code, words) -> None:
    monkeypatch.chdir(model.parent)
    result = sharpline("compile", model, *arguments)
    assert result.code == code
    assert words in result.err
    assert not list(model.parent.glob("*.so"))


def test_float_networks_are_told_how_to_become_integers(sharpline, tmp_path: Path) -> None:
    result = sharpline("compile", save(random_network(), tmp_path / "floats.onnx"))
    assert result.code == 1
    assert "only INT8 networks are compiled" in result.err
    assert "sharpline compress" in result.err
    assert "no network" in sharpline("compile", "bicubic").err
    foreign = save(random_network(precision="int8"), tmp_path / "foreign.onnx")
    assert "is not an integer network of Sharpline's form" in sharpline("compile", foreign).err


def test_without_the_compiler_it_says_what_to_install(sharpline, model: Path, monkeypatch) -> None:
    from sharpline.compiler import build

    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    result = sharpline("compile", model, "--target", "x86-64-avx2")
    assert result.code == 2
    assert "pip install 'sharpline[compile]'" in result.err


def test_native_of_a_strange_processor(monkeypatch) -> None:
    monkeypatch.setattr(verb, "fitting_targets", list)
    with pytest.raises(UsageError, match="no target is for this processor"):
        verb.chosen(["native"])
    assert verb.chosen(["arm64-neon", "arm64-neon"]) == ["arm64-neon"]


def test_the_runtime_knows_the_compilers_targets() -> None:
    from sharpline.compiler import TARGETS

    assert set(TARGETS) == set(FEATURES)
