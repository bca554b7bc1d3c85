"""Rewrites of ONNX graphs that change what a runtime has to know, and not what is computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, defs, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from sharpline.errors import ModelError
from sharpline.lab.boards.made import Size
from sharpline.runtime.graph import to_float_io

_FOLDED = 64  # values that a folded constant has at most: sizes, never weights
_IR_VERSIONS = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8}  # what ONNX had when the opset came


def float_ends(model: onnx.ModelProto, scale: int, *, rounded: bool) -> onnx.ModelProto:
    """The network with float32 levels between its ends.

    Args:
        model: of our form, uint8 at both ends; not changed.
        scale: enlargement.
        rounded: whether the ends themselves stay uint8; else both are float32, the output clipped to 0..255.

    Returns:
        A new model; its pixel shuffle is one DepthToSpace where it is ours.
    """
    floating = to_float_io(model)
    graph = floating.graph
    _float_weights(graph)
    _one_shuffle(graph, scale)
    low, high = np.float32(0), np.float32(255)
    graph.initializer.extend(
        [numpy_helper.from_array(np.asarray(low), "black"), numpy_helper.from_array(np.asarray(high), "white")]
    )
    lr, sr = graph.input[0].name, graph.output[0].name
    _rename(graph, sr, "sr_unclipped")
    graph.node.append(
        helper.make_node("Clip", ["sr_unclipped", "black", "white"], ["sr_levels" if rounded else sr], name="clip")
    )
    if rounded:
        _rename(graph, lr, "lr_levels")
        graph.node.insert(0, helper.make_node("Cast", [lr], ["lr_levels"], to=TensorProto.FLOAT, name="lr_cast"))
        graph.node.append(helper.make_node("Round", ["sr_levels"], ["sr_rounded"], name="round"))
        graph.node.append(helper.make_node("Cast", ["sr_rounded"], [sr], to=TensorProto.UINT8, name="sr_cast"))
        for value in (graph.input[0], graph.output[0]):
            value.type.tensor_type.elem_type = TensorProto.UINT8
    return floating


def _float_weights(graph: onnx.GraphProto) -> None:
    """Store the weights of an integer network as the floats that they stand for."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "DequantizeLinear"]:
        if all(name in constants for name in node.input):
            values = {name: numpy_helper.to_array(constants[name]) for name in node.input}
            weight = np.asarray(next(iter(ReferenceEvaluator(node).run(None, values))), np.float32)
            graph.initializer.append(numpy_helper.from_array(weight, node.output[0]))
            graph.node.remove(node)
    _drop_unread(graph)


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Rename a tensor between the nodes; the graph's own input or output keeps its name."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new


def _one_shuffle(graph: onnx.GraphProto, scale: int) -> None:
    """Put one DepthToSpace in the place of our shuffle by rows (``runtime.graph_parts``), whose order is DCR.

    By rows is faster for bytes on a CPU. A GPU's compiler makes one copy of a DepthToSpace.
    """
    nodes = {node.name: node for node in graph.node}
    split = nodes.get("row0")
    rows = [f"row{number}{part}" for number in range(scale) for part in ("", "_pixels", "_line")]
    ours = {"row0", *rows[1::3], *rows[2::3], "lines", "lr_shape", "sr_shape", "sr"}
    if split is None or split.op_type != "Split" or not ours <= set(nodes):
        return
    packed = split.input[0]
    for name in ours:
        graph.node.remove(nodes[name])
    shuffle = helper.make_node("DepthToSpace", [packed], ["sr_planes"], name="sr_planes", blocksize=scale, mode="DCR")
    graph.node.append(shuffle)
    graph.node.append(helper.make_node("Transpose", ["sr_planes"], ["sr"], name="sr", perm=[0, 2, 3, 1]))
    _drop_unread(graph)


def fixed_size(model: onnx.ModelProto, size: Size, scale: int) -> onnx.ModelProto:
    """The model for pictures of one size, sizes computed beforehand.

    Args:
        model: with an input [1, H, W, C]; not changed.
        size: width and height in LR pixels.
        scale: enlargement.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    width, height = size
    for value, factor in ((fixed.graph.input[0], 1), (fixed.graph.output[0], scale)):
        for place, side in ((1, height * factor), (2, width * factor)):
            value.type.tensor_type.shape.dim[place].dim_value = side
    while _fold(fixed):
        pass
    _drop_unread(fixed.graph)
    return fixed


def _fold(model: onnx.ModelProto) -> bool:
    """Replace operators on sizes by their results; whether there were any."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {v.name: v.type.tensor_type.shape.dim for v in (*inferred.input, *inferred.value_info, *inferred.output)}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    folded = []
    for node in model.graph.node:
        results = _result(node, shapes, constants)
        if results is not None:
            folded.append(node)
            for name, value in zip(node.output, results, strict=True):
                constants[name] = numpy_helper.from_array(np.asarray(value), name)
                model.graph.initializer.append(constants[name])
    for node in folded:
        model.graph.node.remove(node)
    del model.graph.value_info[:]
    return bool(folded)


def _result(
    node: onnx.NodeProto, shapes: dict[str, Any], constants: dict[str, TensorProto]
) -> list[NDArray[Any]] | None:
    """What an operator on sizes computes; None of every other."""
    if node.op_type == "Shape" and node.input[0] in shapes and not node.attribute:
        dims = shapes[node.input[0]]
        known = all(dim.HasField("dim_value") for dim in dims)
        return [np.array([dim.dim_value for dim in dims], np.int64)] if known else None
    inputs = {name: constants.get(name) for name in node.input if name}
    small = all(t is not None and np.prod(t.dims) <= _FOLDED for t in inputs.values())
    if not small or not (inputs or node.op_type == "Constant") or node.op_type.endswith("quantizeLinear"):
        return None
    values = {name: numpy_helper.to_array(tensor) for name, tensor in inputs.items() if tensor is not None}
    results = [np.asarray(value) for value in ReferenceEvaluator(node).run(None, values)]
    return results if all(value.size <= _FOLDED for value in results) else None


def at_opset(model: onnx.ModelProto, opset: int, source: str) -> onnx.ModelProto:
    """The model relabelled to an older opset, where each of its operators meant the same already.

    The exporter gives its own opset whatever it is asked for, and the converter of ONNX stops at many operators.

    Args:
        model: not changed.
        opset: that is wanted; the file's own is asserted.
        source: its name for error messages.

    Raises:
        ModelError: an operator is younger, or is used in a way that is.
    """
    older = onnx.ModelProto()
    older.CopyFrom(model)
    for node in older.graph.node:
        _relabel(node, older.graph, opset, source)
    del older.graph.value_info[:]
    del older.opset_import[:]
    older.opset_import.add(domain="", version=opset)
    older.ir_version = min(older.ir_version, _IR_VERSIONS.get(opset, older.ir_version))
    try:
        onnx.checker.check_model(older, full_check=True)
    except Exception as error:
        raise ModelError(
            f"{source}: cannot be written at opset {opset} ({' '.join(str(error).split())[:150]})"
        ) from None
    assert [(o.domain, o.version) for o in older.opset_import] == [("", opset)]
    return older


def _relabel(node: onnx.NodeProto, graph: onnx.GraphProto, opset: int, source: str) -> None:
    try:
        schema = defs.get_schema(node.op_type, opset, node.domain)
    except defs.SchemaError:
        raise ModelError(f"{source}: {node.op_type} is not in opset {opset}; choose another network or board") from None
    if node.op_type.startswith("Reduce") and "axes" in schema.attributes and len(node.input) == 2:
        axes = next(numpy_helper.to_array(t) for t in graph.initializer if t.name == node.input[1])
        node.attribute.append(helper.make_attribute("axes", axes.tolist()))
        del node.input[1]
    for attribute in [a for a in node.attribute if a.name not in schema.attributes]:
        if attribute.i and not (node.op_type == "Split" and len(node.input) == 2):  # that one only counts the outputs
            raise ModelError(f"{source}: {node.op_type} with {attribute.name} is not in opset {opset}")
        node.attribute.remove(attribute)
    if len(node.input) > schema.max_input:
        raise ModelError(f"{source}: {node.op_type} with {len(node.input)} inputs is not in opset {opset}")


def _drop_unread(graph: onnx.GraphProto) -> None:
    read = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
