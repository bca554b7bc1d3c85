"""A detector in process: graphs that the test builds find the white part of the picture."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sharpline.errors import ModelError
from sharpline.line.detectors.config import OnnxConfig
from sharpline.line.detectors.onnx import OnnxDetector
from sharpline.line.parts import DetectorError

TYPES = {np.uint8: TensorProto.UINT8, np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16}


def save(path, nodes, shape, dtype, outputs, constants=(), metadata=None):
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("image", TYPES[dtype], shape)],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


def white_box(path, shape, dtype=np.uint8, channels_last=True, names=("boxes", "scores", "labels")):
    """A detector of one box: from the first to the last white pixel of the red channel."""
    axis, red = (3, [0, 0, 0, 0]) if channels_last else (1, [0, 0, 0, 0])
    ends = [1, 2**31 - 1, 2**31 - 1, 1] if channels_last else [1, 1, 2**31 - 1, 2**31 - 1]
    half = np.array(128 if dtype == np.uint8 else 0.5, dtype)
    nodes = [
        helper.make_node("Slice", ["image", "red", "ends"], ["plane"]),
        helper.make_node("Squeeze", ["plane", "outer"], ["flat"]),
        helper.make_node("Greater", ["flat", "half"], ["white"]),
        helper.make_node("Cast", ["white"], ["light"], to=TensorProto.FLOAT),
        helper.make_node("NonZero", ["light"], ["places"]),
        helper.make_node("ReduceMin", ["places", "one"], ["low"], keepdims=0),
        helper.make_node("ReduceMax", ["places", "one"], ["high"], keepdims=0),
        helper.make_node("Add", ["high", "step"], ["beyond"]),
        helper.make_node("Concat", ["low", "beyond"], ["yxyx"], axis=0),
        helper.make_node("Gather", ["yxyx", "order"], ["xyxy"]),
        helper.make_node("Cast", ["xyxy"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["float", "form"], [names[0]]),
    ]
    constants = [
        ("red", np.array(red, np.int64)), ("ends", np.array(ends, np.int64)), ("outer", np.array([0, axis])),
        ("half", half), ("one", np.array([1])), ("step", np.array([1, 1])), ("order", np.array([1, 0, 3, 2])),
        ("form", np.array([1, 1, 4])), (names[1], np.array([[0.75]], np.float32)), (names[2], np.array([[1]])),
    ]  # fmt: skip
    outputs = [(names[0], TensorProto.FLOAT), (names[1], TensorProto.FLOAT), (names[2], TensorProto.INT64)]
    return save(path, nodes, shape, dtype, outputs, constants)


def yolo_file(path, rows, shape=(1, 3, 128, 128), metadata=None, red_threshold=None):
    """A detector that answers always the same table [1, 4 + C, N]."""
    table = np.array(rows, np.float32).T[None]
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["nothing"]),
        helper.make_node("Add", ["table", "nothing"], ["output0"]),
    ]
    constants = [("table", table), ("zero", np.zeros((), np.float32))]
    return save(path, nodes, shape, np.float32, [("output0", TensorProto.FLOAT)], constants, metadata)


@pytest.mark.parametrize(
    ("shape", "dtype", "last"),
    [
        ([1, 192, 256, 3], np.uint8, True),
        ([1, 3, 192, 256], np.uint8, False),
        ([1, 3, 160, 160], np.float32, False),
        (["n", "h", "w", 3], np.uint8, True),
        (["n", 3, "h", "w"], np.float32, False),
        ([1, 300, 300, 3], np.float16, True),
        ([1, 1, 192, 256], np.float32, False),
    ],
)
def test_layout_size_and_type_are_read_from_the_graph(make_result, tmp_path, shape, dtype, last) -> None:
    file = white_box(tmp_path / "d.onnx", shape, dtype, last)
    detector = OnnxDetector(OnnxConfig(file=file, labels=["good", "bad"]))
    (found,) = detector.detect(make_result()).detections
    assert (found.label, found.score) == ("bad", 0.75)
    assert found.box == pytest.approx((40, 20, 80, 60), abs=2)
    assert found.camera_box == pytest.approx((10, 5, 20, 15), abs=0.5)
    detector.close()


def test_a_frame_that_is_passed_through_has_the_same_boxes_twice(make_result, tmp_path) -> None:
    file = white_box(tmp_path / "d.onnx", ["n", "h", "w", 3])
    result = make_result(192, 256, scale=1)
    (found,) = OnnxDetector(OnnxConfig(file=file)).detect(result).detections
    assert found.box == found.camera_box == (40, 20, 80, 60)


def test_a_picture_of_another_size_than_a_multiple_of_32_is_filled_up(make_result, tmp_path) -> None:
    file = white_box(tmp_path / "d.onnx", ["n", "h", "w", 3])
    detector = OnnxDetector(OnnxConfig(file=file))
    (found,) = detector.detect(make_result(25, 23, scale=4)).detections  # 100 x 92
    assert found.box == (40, 20, 80, 60)


def test_the_channels_come_in_the_order_that_the_model_expects(make_result, tmp_path) -> None:
    file = white_box(tmp_path / "d.onnx", ["n", "h", "w", 3])
    sr = np.zeros((192, 256, 3), np.uint8)
    sr[0:8, 0:8, 0] = 255
    sr[16:24, 16:32, 2] = 255
    for colour, box in (("rgb", (0, 0, 8, 8)), ("bgr", (16, 16, 32, 24))):
        detector = OnnxDetector(OnnxConfig(file=file, colour=colour))
        assert detector.detect(make_result(sr=sr)).detections[0].box == box


def test_other_output_names_are_configured_and_asked_for(make_result, tmp_path) -> None:
    file = white_box(tmp_path / "d.onnx", ["n", "h", "w", 3], names=("where", "sure", "kind"))
    with pytest.raises(ModelError, match="outputs are where, sure, kind: say under 'outputs'"):
        OnnxDetector(OnnxConfig(file=file))
    names = {"boxes": "where", "scores": "sure", "labels": "kind"}
    detector = OnnxDetector(OnnxConfig.model_validate({"file": file, "outputs": names}))
    assert len(detector.detect(make_result()).detections) == 1


def test_yolo_with_the_names_that_its_file_carries(make_result, tmp_path) -> None:
    # 256 x 192 in 128 x 128: halved, 16 rows of border above and below.
    rows = [(30, 36, 20, 20, 0.1, 0.9), (31, 36, 20, 20, 0.1, 0.8), (100, 100, 10, 10, 0.05, 0.01)]
    file = yolo_file(tmp_path / "y.onnx", rows, metadata={"names": "{0: 'dent', 1: 'scratch'}"})
    (found,) = OnnxDetector(OnnxConfig(file=file)).detect(make_result()).detections
    assert (found.label, found.box) == ("scratch", (40, 20, 80, 60))
    assert found.score == pytest.approx(0.9)


@pytest.mark.parametrize("names", ["__import__('os').abort()", "{0: ", "[1]", "{1: 'a'}", "(" * 5000])
def test_names_that_are_no_names_are_ignored(make_result, tmp_path, names) -> None:
    rows = [(30, 36, 20, 20, 0.1, 0.9), (1, 1, 1, 1, 0, 0)] * 5
    file = yolo_file(tmp_path / "y.onnx", rows, metadata={"names": names})
    (found,) = OnnxDetector(OnnxConfig(file=file)).detect(make_result()).detections
    assert found.label == "class 1"


def test_files_that_cannot_be_used_are_said_at_once(tmp_path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        OnnxDetector(OnnxConfig(file=tmp_path / "none.onnx"))
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(ModelError, match="is no ONNX model that runs"):
        OnnxDetector(OnnxConfig(file=tmp_path / "junk.onnx"))
    file = yolo_file(tmp_path / "y.onnx", [(1, 1, 1, 1, 1)], shape=[4, 7, 64, 64])
    with pytest.raises(ModelError, match="not that of one picture"):
        OnnxDetector(OnnxConfig(file=file))


def test_a_run_that_fails_is_one_line_for_the_operator(make_result, tmp_path) -> None:
    nodes = [helper.make_node("Reshape", ["image", "form"], ["output0"])]
    constants = [("form", np.array([1, 7, 11]))]
    file = save(tmp_path / "d.onnx", nodes, ["n", "h", "w", 3], np.uint8, [("output0", TensorProto.UINT8)], constants)
    with pytest.raises(DetectorError, match=r"^onnx d.onnx: cannot run: [^\n]+$"):
        OnnxDetector(OnnxConfig(file=file)).detect(make_result())
