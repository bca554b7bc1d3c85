"""``sharpline benchmark``: rows, refusals, a board's folder."""

import csv
import json

import pytest

from networks_onnx import random_network, save
from sharpline.runtime.benchmark import Subject, measure, subjects

QUICK = ["--input", "40x30", "--seconds", "0.1", "--threads", "1"]


@pytest.fixture
def network(tmp_path):
    return save(random_network(scale=2), tmp_path / "net.onnx")


@pytest.fixture
def board(network, tmp_path):
    """The folder of a board, as the export writes it."""
    pytest.importorskip("torch")
    from board_folders import write_folder

    model = random_network(scale=2)
    return write_folder(tmp_path / "pi", model, {"net-fp32.onnx": (model.SerializeToString(), None)})


def test_engines_and_the_csv_file(sharpline, network, tmp_path):
    pytest.importorskip("openvino")
    table = tmp_path / "boards.csv"
    command = ["benchmark", network, "--engine", "ort", "--engine", "openvino", *QUICK, "--csv", table]
    result = sharpline(*command, "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert [row["engine"] for row in report["rows"]] == ["ort", "openvino"]
    for row in report["rows"]:
        assert row["ms_p50"] <= row["ms_p95"] <= row["ms_p99"]
        assert row["fps"] == pytest.approx(1000 / row["ms_p50"], rel=0.05)
        assert row["frames"] >= 3
        assert 20 < row["peak_memory_mb"] < 2000
        assert row["start_s"] > row["ms_p50"] / 1000
        assert (row["input"], row["scale"], row["precision"], row["threads"]) == ("40x30", 2, "fp32", 1)
    result = sharpline("benchmark", network, *QUICK, "--csv", table)
    assert "random-x2" in result.out
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["engine"] for row in rows] == ["ort", "openvino", "ort"]
    assert all(row["machine"] and row["version"] for row in rows)


def test_a_board_s_folder(sharpline, board):
    result = sharpline("benchmark", board, *QUICK, "--engine", "ort", "--json")
    assert result.code == 0, result.err
    (row,) = json.loads(result.out)["rows"]
    assert row["model"] == "net-fp32.onnx"
    assert row["engine"].startswith("onnxruntime ")
    assert row["precision"] == "fp32"


def test_what_a_folder_has_no_engine_for_is_said(sharpline, board, network):
    wanted = subjects([str(network), str(board)], ["ort"], (40, 30), 1)
    gone = Subject("folder", "net-fp32.onnx", "ncnn", 1, (40, 30), str(board))
    rows, failed = measure([*wanted, gone], 0.1)
    assert [row.model for row in rows] == ["random-x2", "net-fp32.onnx"]
    assert len(failed) == 1
    assert "no file of this folder" in failed[0]


@pytest.mark.parametrize(
    ("model", "options", "code", "words"),
    [
        ("edge-s-x5", [], 2, "unknown model 'edge-s-x5'"),
        ("edge-s-x4", ["--input", "480"], 2, "--input 480: write width x height"),
        ("edge-s-x4", ["--input", "0x9"], 2, "--input 0x9: write width x height"),
        ("{tmp}", [], 1, "is not a board's folder"),
        ("{tmp}/none.tflite", [], 2, "none.tflite: no such model file"),
        ("{tmp}/none.safetensors", [], 2, "none.safetensors: no such model file"),
    ],
)
def test_refusals(sharpline, tmp_path, model, options, code, words):
    result = sharpline("benchmark", model.replace("{tmp}", str(tmp_path)), *QUICK, *options)
    assert result.code == code
    assert words in result.err
    assert len(result.err.strip().splitlines()[-1:]) == 1


def test_another_csv_file_is_left_alone(sharpline, network, tmp_path):
    other = tmp_path / "mine.csv"
    other.write_text("a,b\n1,2\n")
    result = sharpline("benchmark", network, *QUICK, "--csv", other)
    assert result.code == 2
    assert "choose another name" in result.err
    assert other.read_text() == "a,b\n1,2\n"
