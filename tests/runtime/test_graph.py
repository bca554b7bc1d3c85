import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from networks_onnx import random_network, with_round_clip_cast
from sharpline.errors import ModelError
from sharpline.runtime.graph import to_float_io


def _run(model, lr):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"lr": lr})[0]


def _depth_to_space_tail(model):
    """The tail that most exporters write: shuffle floats, round, clip, cast, and move the channels last."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    nodes = list(other.graph.node)
    keep = nodes[: next(i for i, node in enumerate(nodes) if node.op_type == "QuantizeLinear")]
    tail = [
        helper.make_node("DepthToSpace", ["sum"], ["d2s"], blocksize=2, mode="DCR"),
        helper.make_node("Clip", ["d2s", "black", "white"], ["clipped"]),
        helper.make_node("Round", ["clipped"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], ["levels"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["levels"], ["sr"], perm=[0, 2, 3, 1]),
    ]
    del other.graph.node[:]
    other.graph.node.extend([*keep, *tail])
    other.graph.initializer.extend(
        [numpy_helper.from_array(np.float32(0), "black"), numpy_helper.from_array(np.float32(255), "white")]
    )
    return other


@pytest.mark.parametrize("form", [lambda m: m, with_round_clip_cast, _depth_to_space_tail])
@pytest.mark.parametrize("colour", ["rgb", "y"])
def test_float_output_rounds_to_the_byte_output(form, colour):
    model = form(random_network(2, colour, depth=3))
    lr = np.random.default_rng(0).integers(0, 256, (1, 19, 23, 3 if colour == "rgb" else 1), dtype=np.uint8)
    floating = to_float_io(model)
    onnx.checker.check_model(floating, full_check=True)
    sr = _run(floating, lr.astype(np.float32))
    assert sr.dtype == np.float32
    assert sr.min() < 0, "the clip is still there"
    np.testing.assert_array_equal(np.clip(np.rint(sr), 0, 255), _run(model, lr))


def test_the_original_is_left_alone():
    model = random_network()
    before = model.SerializeToString()
    to_float_io(model)
    assert model.SerializeToString() == before


def test_input_is_not_rounded():
    model = to_float_io(random_network(depth=1))
    lr = np.random.default_rng(0).random((1, 9, 9, 3), dtype=np.float32) * 255
    assert np.abs(_run(model, lr) - _run(model, np.rint(lr))).max() > 0.1


def _quantized_with_scale_two(model):
    scale = next(t for t in model.graph.initializer if t.name == "one")
    scale.CopyFrom(numpy_helper.from_array(np.float32(2), "one"))


def _arithmetic_after_rounding(model):
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node("Max", ["before", "before"], ["sr"]))


def _no_cast(model):
    model.graph.node[0].op_type = "Neg"


@pytest.mark.parametrize("damage", [_quantized_with_scale_two, _arithmetic_after_rounding, _no_cast])
def test_a_foreign_graph_is_refused(damage):
    model = random_network()
    damage(model)
    with pytest.raises(ModelError, match="cannot run this picture in float"):
        to_float_io(model, source="foreign.onnx")


def test_a_clip_that_is_not_ours_is_refused():
    model = with_round_clip_cast(random_network())
    white = next(t for t in model.graph.initializer if t.name == "white")
    white.CopyFrom(numpy_helper.from_array(np.float32(200), "white"))
    with pytest.raises(ModelError, match="clipped"):
        to_float_io(model)
