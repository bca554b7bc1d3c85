"""What boards make of TFLite files, read without TensorFlow; and files that are damaged."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharpline.errors import ModelError
from sharpline.runtime.boards.check import Report, check_file
from sharpline.runtime.boards.profile import load_board
from sharpline.runtime.boards.tflite_facts import tflite_facts
from small_tflite import schema, tflite_file

CONV = [("CONV_2D", 3)]


def coral(path: Path) -> Report:
    return check_file(path, load_board("coral-dev-board"))


def rules(found: Report) -> dict[str, str]:
    return {finding.rule: finding.verdict for finding in found.findings}


def test_facts_are_those_of_the_file(tmp_path: Path) -> None:
    path = tflite_file(tmp_path / "m.tflite", [("PAD", 1), ("CONV_2D", 3), ("CONV_2D", 3)], weights=1000)
    facts = tflite_facts(path)
    assert [(op.name, op.version) for op in facts.operators] == [("PAD", 1), ("CONV_2D", 3), ("CONV_2D", 3)]
    assert (facts.inputs[0].name, facts.inputs[0].type, facts.inputs[0].shape) == ("t0", "int8", (1, 8, 8, 4))
    assert facts.outputs[0].name == "t3"
    assert facts.weight_bytes == 1000


def test_names_are_the_schemas() -> None:
    from sharpline.runtime.boards.tflite_facts import _TYPES, _operator_names

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    assert [names[number] for number in range(len(names))][: len(_operator_names())] == _operator_names()
    types = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    assert [types[number].lower() for number in range(len(_TYPES))] == list(_TYPES)


def test_a_full_integer_file_runs(tmp_path: Path) -> None:
    found = coral(tflite_file(tmp_path / "m.tflite", [*CONV, ("ADD", 2), ("TRANSPOSE_CONV", 2)], weights=2**20))
    assert found.stops == []
    assert {row.verdict for row in found.rows} == {"accelerator"}
    assert set(rules(found).values()) == {"holds"}


@pytest.mark.parametrize(
    ("operator", "version", "verdict"),
    [
        ("TRANSPOSE_CONV", 2, "accelerator"),
        ("TRANSPOSE_CONV", 4, "stops"),
        ("DEPTH_TO_SPACE", 1, "CPU"),
        ("LEAKY_RELU", 1, "CPU"),
        ("RESIZE_BILINEAR", 2, "accelerator"),
        ("RESIZE_BILINEAR", 3, "CPU"),
        ("GELU", 1, "CPU"),
        ("CUSTOM", 1, "stops"),
    ],
)
def test_operators_of_the_edge_tpu(tmp_path: Path, operator: str, version: int, verdict: str) -> None:
    found = coral(tflite_file(tmp_path / "m.tflite", [*CONV, (operator, version)], custom="Mine"))
    row = next(row for row in found.rows if row.operator == f"{operator} v{version}")
    assert row.verdict == verdict
    assert verdict == "accelerator" or row.reason
    assert bool(found.stops) == (verdict == "stops")


def test_what_the_compiler_wrote_is_known(tmp_path: Path) -> None:
    found = coral(tflite_file(tmp_path / "m_edgetpu.tflite", [("CUSTOM", 1)], custom="edgetpu-custom-op"))
    assert [row.verdict for row in found.rows] == ["accelerator"]


@pytest.mark.parametrize(
    ("harm", "rule", "verdict"),
    [
        ({"kind": "FLOAT32"}, "ends", "stops"),
        ({"between": "FLOAT32"}, "quantization", "stops"),
        ({"signature": (1, -1, -1, 4)}, "shape", "stops"),
        ({"shape": (2, 8, 8, 4)}, "dimensions", "warns"),
        ({"weights": 7 * 2**20}, "parameters", "warns"),
        ({"graphs": 2}, "graphs", "stops"),
    ],
    ids=str,
)
def test_rules_of_the_edge_tpu(tmp_path: Path, harm: dict, rule: str, verdict: str) -> None:
    found = coral(tflite_file(tmp_path / "m.tflite", CONV * 3, **harm))
    assert rules(found)[rule] == verdict


def test_other_boards(tmp_path: Path) -> None:
    path = tflite_file(tmp_path / "m.tflite", CONV)
    assert check_file(path, load_board("raspberry-pi-5")).stops == []
    assert "ONNX" in check_file(path, load_board("jetson-nano")).stops[0]


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"\x00" * 64, b"\x18\x00\x00\x00TFL3", b"\xff\xff\xff\xffTFL3" + b"\xff" * 64]
)
def test_files_that_are_no_models(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="TFLite model"):
        coral(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("tflite") / "m.tflite"
    return tflite_file(path, [*CONV, ("ADD", 1), ("TRANSPOSE_CONV", 2)], weights=40).read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_refused_or_harmless(tmp_path: Path, whole: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(whole)))
    harmed = bytearray(whole[:length])
    for _ in range(data.draw(st.integers(0, 4))):
        if harmed:
            harmed[data.draw(st.integers(0, len(harmed) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "m.tflite"
    path.write_bytes(harmed)
    with contextlib.suppress(ModelError):  # every other exception is a defect
        assert coral(path).board == "coral-dev-board"
