"""The Q/DQ graph for TensorRT: what it computes, and the rules it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from networks_onnx import random_network
from random_integers import noise, random_integers
from sharpline.runtime.formats.orin import orin_graph
from sharpline.runtime.formats.orin_rules import orin_rules
from sharpline.runtime.graph import to_float_io
from sharpline.runtime.integer import IntegerModel, accumulate, upscale_integer
from sharpline.runtime.integer_graph import integer_graph


def in_ort(graph: onnx.ModelProto, lr: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"lr": lr[None]})[0][0]


def by_definition(model: IntegerModel, lr: np.ndarray) -> np.ndarray:
    """Levels of two between layers, the last sum in float."""
    levels = lr
    for layer in model.layers[:-1]:
        step = 2 if layer.top == 255 else 1
        values = np.clip(accumulate(levels, layer) * layer.multiplier.astype(np.float64), 0, layer.top)
        levels = (np.clip(np.rint(values / step), 0, 127) * step).astype(np.uint8)
    last = model.layers[-1]
    total = accumulate(levels, last).astype(np.float64)
    if model.anchor is not None:
        around = np.pad(lr, ((1, 1), (1, 1), (0, 0)), "edge").astype(np.float64)
        for output, taps in enumerate(model.anchor):
            for row in range(3):
                for column in range(3):
                    near = around[row : row + lr.shape[0], column : column + lr.shape[1], output % model.colours]
                    total[:, :, output] += taps[row, column] * near
    height, width, s = *lr.shape[:2], model.scale
    blocks = np.clip(total * last.multiplier, 0, 255).reshape(height, width, s, s, model.colours)
    return blocks.transpose(0, 2, 1, 3, 4).reshape(height * s, width * s, model.colours)


@settings(max_examples=40, deadline=None)
@given(
    scale=st.sampled_from([1, 2, 3, 4]),
    colours=st.sampled_from([1, 3]),
    kernels=st.lists(st.sampled_from([1, 3, 5]), min_size=1, max_size=3).map(tuple),
    top=st.sampled_from([15, 255]),
    anchored=st.booleans(),
    size=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    seed=st.integers(0, 99),
)
def test_it_computes_what_it_says(scale, colours, kernels, top, anchored, size, seed) -> None:
    model = random_integers(scale, colours, kernels, top=top, anchored=anchored, largest=40, seed=seed)
    # Multipliers that are powers of 2 make every product exact: no value can fall to the other side of a level's edge.
    # Even biases are whole behind levels of two: ONNX Runtime, unlike TensorRT, makes integers of float biases.
    exact = [
        replace(layer, multiplier=np.exp2(np.rint(np.log2(layer.multiplier))), bias=layer.bias // 2 * 2)
        for layer in model.layers
    ]
    model = replace(model, layers=tuple(exact))
    lr = noise(*size, colours, seed)
    sr = in_ort(orin_graph(model, "float32"), lr.astype(np.float32))
    np.testing.assert_allclose(sr, by_definition(model, lr), atol=1e-3)


def test_one_layer_keeps_all_bits_up_to_the_border() -> None:
    for kernel in (1, 3, 5):
        model = random_integers(2, 3, (kernel,))
        lr = noise(19, 14, 3)
        sr = in_ort(orin_graph(model), lr)
        assert sr.dtype == np.uint8
        difference = np.abs(sr.astype(int) - upscale_integer(model, lr))
        assert difference.max() <= 1
        assert (difference == 0).mean() > 0.99


def test_float_ends_are_cut_and_not_rounded() -> None:
    model = random_integers()
    last = model.layers[-1]
    harder = replace(last, multiplier=last.multiplier * np.float32(4), bias=last.bias - 30_000)
    model = replace(model, layers=(*model.layers[:-1], harder))
    lr = noise(12, 15, 3)
    sr = in_ort(orin_graph(model, "float32"), lr.astype(np.float32))
    assert (sr.min(), sr.max()) == (0, 255)
    assert (sr != np.rint(sr)).mean() > 0.2
    np.testing.assert_array_equal(np.rint(sr), in_ort(orin_graph(model), lr))


@pytest.mark.parametrize("top", [15, 255])
@pytest.mark.parametrize("ends", ["uint8", "float32"])
def test_ours_keeps_every_rule(ends, top) -> None:
    graph = orin_graph(random_integers(3, 1, (3, 3, 1), top=top), ends)
    onnx.checker.check_model(graph, full_check=True)
    assert orin_rules(graph) == []
    convolutions = {node.name for node in graph.graph.node if node.op_type == "Conv"}
    quantized = {node.input[0] for node in graph.graph.node if node.op_type == "DequantizeLinear"}
    assert convolutions == {"layer0", "layer1", "layer2", "anchor"}
    assert len(quantized) == 6  # of three convolutions, values and weights


def test_float_files_break_none_of_any_opset() -> None:
    model = to_float_io(random_network())
    assert orin_rules(model) == []
    model.opset_import[0].version = 9
    assert orin_rules(model) == []


def broken(harm: str) -> onnx.ModelProto:
    model = orin_graph(random_integers(2, 3, (3, 3)))
    graph = model.graph
    nodes = {node.output[0]: node for node in graph.node}
    constants = {tensor.name: tensor for tensor in graph.initializer}

    def put(name: str, value: np.ndarray) -> None:
        constants[name].CopyFrom(numpy_helper.from_array(value, name))

    if harm == "zero point":
        put("zero", np.int8(-3))
    elif harm == "unsigned":
        put("zero", np.uint8(0))
    elif harm == "step":
        put("step2", np.float32(0))
    elif harm == "opset":
        model.opset_import[0].version = 12
    elif harm == "bias":
        bias = helper.make_node("DequantizeLinear", ["bias_levels", "one"], ["bias_float"])
        graph.initializer.append(numpy_helper.from_array(np.zeros(6, np.int32), "bias_levels"))
        graph.initializer.append(numpy_helper.from_array(np.float32(1), "one"))
        graph.node.insert(0, bias)
        nodes["layer0"].input[2] = "bias_float"
    elif harm == "stored":
        put("layer0.weight", np.zeros((6, 3, 3, 3), np.int8))
        nodes["layer0.weight.rounded"].input[0] = "layer0.weight"
    elif harm == "axis":
        for end in ("levels", "rounded"):
            nodes[f"layer1.weight.{end}"].attribute[0].i = 1
    elif harm == "half":
        nodes["layer1"].input[1] = "layer1.weight"
    elif harm == "values":
        nodes["layer0.relu.rounded"].input[1] = "layer0.step"
    elif harm == "bytes":
        nodes["lr_float"].op_type = "Identity"
    return model


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("zero point", "zero point of -3; TensorRT's are 0"),
        ("unsigned", "levels of uint8; TensorRT has int8 only"),
        ("step", "'layer0.relu.levels' has a step that is no positive number"),
        ("opset", "the opset is 12"),
        ("bias", "'layer0' has a quantized bias"),
        ("stored", "'layer0' has weights stored as integers"),
        ("axis", "'layer1' has weights with steps along axis 1"),
        ("half", "'layer1' runs in float: only what comes in is quantized"),
        ("values", "'layer1' takes values with 6 steps"),
        ("bytes", "Identity works on the bytes of 'lr'"),
    ],
)
def test_each_rule_is_seen_broken(harm, words) -> None:
    assert any(words in found.reason for found in orin_rules(broken(harm))), orin_rules(broken(harm))


def test_our_file_for_processors_is_none_for_tensorrt() -> None:
    found = orin_rules(integer_graph(random_integers()))
    assert any("uint8" in breach.reason for breach in found)
    assert any("bias" in breach.reason for breach in found)


def test_constants_may_be_nodes() -> None:
    model = orin_graph(random_integers())
    zero = next(tensor for tensor in model.graph.initializer if tensor.name == "zero")
    model.graph.initializer.remove(zero)
    model.graph.node.insert(0, helper.make_node("Constant", [], ["zero"], value=zero))
    assert orin_rules(model) == []
    assert zero.data_type == TensorProto.INT8


def test_what_lies_in_other_files_is_not_opened() -> None:
    model = orin_graph(random_integers())
    for tensor in model.graph.initializer:
        if tensor.name.endswith((".weight", ".step")):
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="/etc/passwd")
    assert orin_rules(model) == []


def test_products_of_two_activations_have_no_weights() -> None:
    """Attention: both sides are quantized, and neither is stored."""
    nodes = []
    for name in "ab":
        nodes.append(helper.make_node("QuantizeLinear", [name, "step", "zero"], [f"{name}q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}q", "step", "zero"], [f"{name}d"]))
    nodes.append(helper.make_node("MatMul", ["ad", "bd"], ["y"]))
    constants = [
        numpy_helper.from_array(np.float32(1), "step"),
        numpy_helper.from_array(np.int8(0), "zero"),
    ]
    a, b, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in "aby")
    graph = helper.make_graph(nodes, "g", [a, b], [y], constants)
    assert orin_rules(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])) == []
