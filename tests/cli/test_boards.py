"""boards, check, export --board: what a user sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from onnx import helper

from sharpline.runtime.catalog import open_model
from small_onnx import onnx_file, quantized


@pytest.mark.parametrize("verb", ["boards", "check", "export"])
def test_help_has_an_example(sharpline, verb: str) -> None:
    result = sharpline(verb, "--help")
    assert result.code == 0
    assert f"Example: sharpline {verb}" in " ".join(result.out.split())


def test_boards_are_listed(sharpline) -> None:
    listed = json.loads(sharpline("boards", "--json").out)
    nano = next(board for board in listed if board["name"] == "jetson-nano")
    assert nano["fast"] == ["fp16"]
    assert "int8" in nano["refused"]
    table = sharpline("boards").out
    assert all(board["name"] in table for board in listed)


def test_check_prints_each_operator_and_exits_0_where_it_runs(sharpline, tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])])
    result = sharpline("check", path, "--board", "jetson-nano")
    assert result.code == 0
    assert "Relu" in result.out
    assert "accelerator" in result.out
    assert "not run on the device" in result.out
    assert json.loads(sharpline("check", path, "--board", "jetson-nano", "--json").out)["runs"] is True


def test_check_exits_1_where_it_stops(sharpline, tmp_path: Path) -> None:
    path = quantized(tmp_path / "q.onnx")
    result = sharpline("check", path, "--board", "jetson-nano")
    assert result.code == 1
    assert len(result.err.strip().splitlines()) == 1
    assert "no INT8" in result.err
    found = sharpline("check", path, "--board", "jetson-nano", "--json")
    assert found.code == 1
    assert json.loads(found.out)["runs"] is False


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["x.onnx", "--board", "jetson-nan"], 2, "did you mean jetson-nano?"),
        (["absent.onnx", "--board", "jetson-nano"], 2, "no such model file"),
        (["absent.tflite", "--board", "jetson-nano"], 2, "no such model file"),
        (["edge-s-x5", "--board", "jetson-nano"], 2, "unknown model"),
        (["bicubic", "--board", "jetson-nano"], 2, "is interpolation"),
        (["x.pth", "--board", "jetson-nano"], 1, "neither an .onnx nor a .tflite"),
        (["junk.tflite", "--board", "coral-dev-board"], 1, "not a TFLite model"),
    ],
)
def test_check_of_what_cannot_be_meant(
    sharpline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "junk.tflite").write_bytes(b"\x00" * 50)
    result = sharpline("check", *arguments)
    assert result.code == code
    assert words in result.err
    assert len(result.err.strip().splitlines()) == 1


def test_check_of_a_name_takes_the_form_that_export_would(sharpline) -> None:
    on_a_pc = json.loads(sharpline("check", "edge-s-x4", "--board", "x86-cpu", "--json").out)
    assert on_a_pc["runs"]
    assert any("QuantizeLinear" in row["operator"] for row in on_a_pc["operators"])
    on_a_nano = sharpline("check", "edge-s-x4", "--board", "jetson-nano")
    assert on_a_nano.code == 1
    assert on_a_nano.err.startswith("error: edge-s-x4: NVIDIA Jetson Nano")
    assert "the file is quantized" not in on_a_nano.out


def test_a_checkpoint_is_checked_and_timed(sharpline, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the lab needs torch")
    from sharpline.lab.networks import build
    from sharpline.lab.training.checkpoint import save_network

    card = {"version": "1", "description": "test", "licence": "CC0", "training_data": "noise"}
    save_network(
        tmp_path / "net.safetensors",
        build({"family": "edge", "channels": 4, "depth": 1, "scale": 2}),
        {"name": "tiny", "card": card},
    )
    result = sharpline("check", tmp_path / "net.safetensors", "--board", "x86-cpu")
    assert result.code == 0, result.err
    assert "Conv" in result.out
    timed = sharpline("benchmark", tmp_path / "net.safetensors", "--input", "16x16", "--seconds", "0.1", "--json")
    assert [row["model"] for row in json.loads(timed.out)["rows"]] == ["tiny"]


def test_export_for_a_board(sharpline, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the lab needs torch")
    folder = tmp_path / "nano"
    told = sharpline("export", "edge-s-x4", "--board", "jetson-nano", "--size", "64x48", "-o", folder, "--json")
    assert told.code == 0
    written = json.loads(told.out)
    assert written["files"][0]["size"] == [64, 48]
    assert written["files"][0]["parity"]["largest"] <= 1
    assert (folder / written["files"][0]["file"]).exists()
    assert sharpline("check", folder / written["files"][0]["file"], "--board", "jetson-nano").code == 0
    again = sharpline("export", "edge-s-x4", "--board", "jetson-nano", "-o", folder)
    assert again.code == 2
    assert "--overwrite" in again.err


def test_an_integer_file_goes_as_its_float_twin_where_integers_are_slow(sharpline, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the lab needs torch")
    file = tmp_path / "mine.onnx"
    file.write_bytes(Path(open_model("edge-s-x4", precision="int8").source).read_bytes())
    told = sharpline("export", file, "--board", "jetson-nano", "--size", "64x48", "-o", tmp_path / "nano", "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)["files"][0]["precision"] == "fp32"


def test_check_of_a_float_network_that_ends_in_bytes(sharpline) -> None:
    file = open_model("edge-s-x4", precision="fp32").source
    told = sharpline("check", file, "--board", "jetson-nano", "--json")
    assert told.code == 1
    assert "rounds the result to bytes" in told.out
    assert "the file is quantized" not in told.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["edge-s-x4"], "no output"),
        (["edge-s-x4", "--board", "jetson-nano", "--size", "big"], "write WxH"),
        (["edge-s-x4", "--board", "jetson-nano", "--size", "0x48"], "write WxH"),
        (["edge-s-x4", "-o", "m.onnx", "--size", "64x48"], "belongs to --board"),
        (["net.safetensors", "-o", "m.txt"], "model files end with .onnx"),
        (["edge-s-x4", "-o", "m.onnx"], "give --board NAME"),
        (["edge-s-x4", "--board", "x86-cpu", "-o", "m.onnx"], "writes a folder"),
        (["edge-s-x4", "--board", "atari"], "unknown board"),
        (["nothing-x4", "--board", "jetson-nano"], "unknown model"),
    ],
)
def test_export_of_what_cannot_be_meant(
    sharpline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    pytest.importorskip("torch", reason="the lab needs torch")
    monkeypatch.chdir(tmp_path)
    result = sharpline("export", *arguments)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_names_of_a_strangers_file_do_not_reach_the_terminal_as_commands(sharpline, tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "m.onnx", [helper.make_node("\x1b[31m[bold]Relu", ["x"], ["y"])])
    told = sharpline("check", path, "--board", "jetson-nano")
    assert "\x1b" not in told.out + told.err
    assert "[bold]Relu" in told.out
