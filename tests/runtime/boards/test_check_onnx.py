"""What boards make of ONNX files, ours and others'."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sharpline.errors import ModelError
from sharpline.runtime.boards.check import Report, check_file
from sharpline.runtime.boards.profile import load_board
from sharpline.runtime.catalog import open_model
from small_onnx import onnx_file, quantized

BOARDS = ["jetson-nano", "jetson-orin", "raspberry-pi-5", "x86-cpu", "android-ncnn"]


def relu() -> onnx.NodeProto:
    return helper.make_node("Relu", ["x"], ["y"])


def report(path: Path, board: str) -> Report:
    return check_file(path, load_board(board))


def rules(found: Report) -> dict[str, str]:
    return {finding.rule: finding.verdict for finding in found.findings}


@pytest.mark.parametrize("board", BOARDS)
def test_a_plain_float_graph_runs_everywhere(tmp_path: Path, board: str) -> None:
    found = report(onnx_file(tmp_path / "m.onnx", [relu()]), board)
    assert found.stops == []
    assert [(row.operator, row.count) for row in found.rows] == [("Relu", 1)]
    assert found.to_dict()["runs"] is True


def test_operators_are_counted_also_in_branches(tmp_path: Path) -> None:
    flag = np.array(True)
    inner = helper.make_graph([relu()], "then", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    node = helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=inner)
    found = report(onnx_file(tmp_path / "m.onnx", [node], constants={"flag": flag}), "jetson-nano")
    assert {row.operator: row.count for row in found.rows} == {"If": 1, "Relu": 2}


def test_the_nano_refuses_quantized_files_with_the_reason(tmp_path: Path) -> None:
    found = report(quantized(tmp_path / "q.onnx"), "jetson-nano")
    row = next(row for row in found.rows if row.operator == "QuantizeLinear")
    assert row.verdict == "stops"
    assert "no INT8" in row.reason
    assert "FP32" in row.rewrite
    assert rules(found)["quantization"] == "stops"


@pytest.mark.parametrize(
    ("opset", "verdict"), [(6, "stops"), (7, "holds"), (13, "holds"), (14, "stops"), (18, "stops")]
)
def test_opset_of_the_nano(tmp_path: Path, opset: int, verdict: str) -> None:
    found = report(onnx_file(tmp_path / "m.onnx", [relu()], opset=opset), "jetson-nano")
    assert rules(found)["opset"] == verdict


def test_the_nano_takes_no_bytes_and_our_own_file_says_what_to_do(tmp_path: Path) -> None:
    model = open_model("edge-s-x4", precision="fp32").graph
    (tmp_path / "ours.onnx").write_bytes(model.SerializeToString())
    found = report(tmp_path / "ours.onnx", "jetson-nano")
    ends = next(f for f in found.findings if f.rule == "ends")
    assert ends.verdict == "stops"
    assert "uint8" in ends.reason
    assert "--board jetson-nano" in ends.rewrite
    assert rules(found)["shape"] == "warns"
    assert report(tmp_path / "ours.onnx", "x86-cpu").stops == []


@pytest.mark.parametrize(
    ("node", "verdict"),
    [
        (helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="cubic"), "stops"),
        (helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear"), "accelerator"),
        (helper.make_node("Mod", ["x", "x"], ["y"], fmod=1), "stops"),
        (helper.make_node("DepthToSpace", ["x"], ["y"], blocksize=2, mode="DCR"), "accelerator"),
        (helper.make_node("LayerNormalization", ["x", "x"], ["y"]), "stops"),
        (helper.make_node("Pad", ["x", "pads"], ["y"], mode="edge"), "accelerator"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.op_type,
)
def test_operators_of_the_nano(tmp_path: Path, node: onnx.NodeProto, verdict: str) -> None:
    constants = {"scales": np.ones(4, np.float32), "pads": np.zeros(8, np.int64)}
    found = report(onnx_file(tmp_path / "m.onnx", [node], constants=constants), "jetson-nano")
    assert [row.verdict for row in found.rows] == [verdict]
    assert bool(found.stops) == (verdict == "stops")


def test_an_operator_of_another_domain_stops_tensorrt_82(tmp_path: Path) -> None:
    node = helper.make_node("FusedConv", ["x", "x"], ["y"], domain="com.microsoft")
    path = onnx_file(tmp_path / "m.onnx", [node], domains=("com.microsoft",))
    assert report(path, "jetson-nano").rows[0].operator == "com.microsoft.FusedConv"
    assert report(path, "jetson-nano").stops
    assert report(path, "x86-cpu").stops == []
    assert report(path, "jetson-orin").rows[0].verdict == "unknown"


@pytest.mark.parametrize(
    ("harm", "rule", "verdict"),
    [
        ({}, "quantization", "holds"),
        ({"zero": 3}, "zero points", "stops"),
        ({"kind": np.uint8}, "zero points", "stops"),
        ({"bias": True}, "bias", "stops"),
        ({"stored": True}, "weights", "warns"),
    ],
    ids=str,
)
def test_rules_for_quantized_files_of_the_orin(tmp_path: Path, harm: dict, rule: str, verdict: str) -> None:
    found = report(quantized(tmp_path / "q.onnx", **harm), "jetson-orin")
    assert rules(found)[rule] == verdict
    assert bool(found.stops) == (verdict == "stops")


@pytest.mark.parametrize("operator", ["QLinearConv", "ConvInteger", "DynamicQuantizeLinear"])
def test_fused_integers_stop_the_orin(tmp_path: Path, operator: str) -> None:
    found = report(onnx_file(tmp_path / "m.onnx", [helper.make_node(operator, ["x"], ["y"])]), "jetson-orin")
    assert found.rows[0].verdict == "stops"
    assert "pairs of QuantizeLinear" in found.rows[0].reason


def test_many_places_are_one_row_for_the_orin(tmp_path: Path) -> None:
    (tmp_path / "ours.onnx").write_bytes(open_model("edge-s-x4", precision="int8").graph.SerializeToString())
    found = report(tmp_path / "ours.onnx", "jetson-orin")
    names = [finding.rule for finding in found.findings]
    assert len(names) == len(set(names))
    assert any("more places)" in reason for reason in found.stops)


def test_the_coral_reads_no_onnx(tmp_path: Path) -> None:
    found = report(onnx_file(tmp_path / "m.onnx", [relu()]), "coral-dev-board")
    assert found.rows == []
    assert "TFLite" in found.stops[0]


def test_weights_in_another_file_are_not_opened(tmp_path: Path) -> None:
    path = onnx_file(
        tmp_path / "m.onnx", [helper.make_node("Add", ["x", "w"], ["y"])], constants={"w": np.ones(1, "f4")}
    )
    model = onnx.load(path)
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    path.write_bytes(model.SerializeToString())
    assert report(path, "jetson-nano").stops == []


@pytest.mark.parametrize("content", [b"", b"junk", b"\x00" * 100, b"\x08\x07"])
def test_files_that_are_no_models(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not an ONNX model"):
        report(path, "jetson-nano")


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither an \.onnx nor a \.tflite"):
        report(tmp_path / "m.pth", "jetson-nano")
    with pytest.raises(ModelError, match="no such model file"):
        report(tmp_path / "absent.onnx", "jetson-nano")


def test_the_checker_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['ai_edge_litert'] = None\n"
        "from sharpline.cli import boards, check\n"
        "from sharpline.runtime.boards import check, tflite_facts\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
