"""The profiles in the package: strict, complete, and without anything that a user cannot read."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import yaml

from sharpline.errors import UsageError
from sharpline.runtime.boards import profile
from sharpline.runtime.boards.profile import board_names, load_board, read_board
from sharpline.runtime.boards.tflite_facts import _operator_names

BOARDS = [
    "android-ncnn", "coral-dev-board", "jetson-nano", "jetson-orin", "raspberry-pi-4", "raspberry-pi-5", "x86-cpu",
]  # fmt: skip
FOLDER = Path(profile.__file__).parent / "profiles"


def test_every_board_is_there() -> None:
    assert board_names() == BOARDS


@pytest.mark.parametrize("name", BOARDS)
def test_operators_exist_and_stand_in_one_list(name: str) -> None:
    old = {"ImageScaler", "ParametricSoftplus", "ScaledTanh"}  # experimental once, and still on NVIDIA's list
    onnx_names = {schema.name for schema in onnx.defs.get_all_schemas_with_history()} | old
    known = {"onnx": onnx_names, "tflite": set(_operator_names())}
    for kind, takes in load_board(name).takes.items():
        listed = [*takes.accelerator, *takes.cpu, *takes.stops]
        assert len(listed) == len(set(listed))
        named = [*listed, *(o for special in takes.exceptions for o in special.operators if "*" not in o)]
        assert set(named) <= known[kind]


@pytest.mark.parametrize("name", BOARDS)
def test_facts_name_their_sources(name: str) -> None:
    comments = [line for line in (FOLDER / f"{name}.yaml").read_text().splitlines() if line.startswith("#")]
    assert any("https://" in line for line in comments) or name == "x86-cpu"


def test_the_nano_has_no_int8_and_the_opset_of_its_file() -> None:
    nano = load_board("jetson-nano")
    assert "int8" in nano.precisions.refused
    assert [(file.format, file.opset, file.ends) for file in nano.files] == [("onnx-fp32", 13, "float32")]
    assert nano.takes["onnx"].most_opset == 13
    assert nano.python == "3.6"


def test_an_unknown_board_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean jetson-nano\?"):
        load_board("jetson-nan")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pythn": "3.6"}, "did you mean 'python'"),
        ({"name": "other"}, "the file's is"),
        ({"refused": {}}, "each of onnx and tflite"),
        ({"files": []}, "files"),
        ({"build_on": "moon"}, "build_on"),
    ],
)
def test_a_profile_that_is_wrong_is_refused(tmp_path: Path, change: dict, words: str) -> None:
    content = yaml.safe_load((FOLDER / "jetson-nano.yaml").read_text()) | change
    path = tmp_path / "jetson-nano.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(UsageError, match=words):
        read_board(path)
