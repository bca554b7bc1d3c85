"""What TensorRT asks of a quantized ONNX file, checked without TensorRT.

NVIDIA, "Working with quantized types", section "explicit quantization", and the operator table of onnx-tensorrt
10: symmetric INT8, one step for a tensor of activations, one for each output of weights; float biases; no bytes between
the ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

_OPSETS = range(13, 21)  # steps for each channel came with 13
_WEIGHTED = {"Conv": 0, "ConvTranspose": 1, "Gemm": None, "MatMul": None}  # axis of a weight's outputs
_FUSED = ("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear")
_FLOATS = (np.dtype(np.float32), np.dtype(np.float16))
_BYTES = (TensorProto.UINT8, TensorProto.INT8)


class _Graph:
    """The maps that the rules need."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.constants: dict[str, NDArray[Any]] = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        self.ends = {v.name: v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)}

    def pair(self, name: str) -> tuple[onnx.NodeProto | None, onnx.NodeProto | None]:
        """The DequantizeLinear that makes a tensor, and the QuantizeLinear before that."""
        second = self.makers.get(name)
        if second is None or second.op_type != "DequantizeLinear":
            return None, None
        first = self.makers.get(second.input[0])
        return second, first if first is not None and first.op_type == "QuantizeLinear" else None


def orin_rules(model: onnx.ModelProto) -> list[str]:
    """What in a file TensorRT 10 would stop at, or not run in integers.

    Args:
        model: any ONNX model.

    Returns:
        A sentence for each finding; none where all is well, which a file without quantization is too.

    Example:
        >>> from sharpline.runtime.formats.orin import orin_graph
        >>> from sharpline.runtime.integer import IntegerLayer, IntegerModel
        >>> from sharpline.runtime.integer_graph import integer_graph
        >>> tail = IntegerLayer("tail", np.ones((4, 1, 3, 3), np.int8), np.zeros(4, np.int32), np.ones(4, "f4"))
        >>> orin_rules(orin_graph(IntegerModel((tail,), 2, 1)))
        []
        >>> orin_rules(integer_graph(IntegerModel((tail,), 2, 1)))[0]
        "Transpose works on the bytes of 'lr'; TensorRT wants a Cast there, and floats behind it"
    """
    graph = _Graph(model)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    found = [] if opset in _OPSETS else [f"the opset is {opset}; TensorRT 10 takes quantized files of 13 to 20"]
    for node in graph.nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            found += _step_findings(graph, node)
        elif node.op_type in _WEIGHTED:
            found += _weighted_findings(graph, node)
        elif node.op_type in _FUSED:
            found.append(f"'{node.output[0]}' is made by {node.op_type}; TensorRT takes pairs of Q and DQ around Conv")
        found += _byte_findings(graph, node)
    return found


def _step_findings(graph: _Graph, node: onnx.NodeProto) -> Iterator[str]:
    name = node.output[0]
    zero = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
    step = graph.constants.get(node.input[1])
    if zero is None or zero.dtype != np.int8:
        if zero is None or zero.dtype != np.int32:  # of a bias, which has a sentence of its own
            yield f"'{name}' has levels of {'uint8' if zero is None else zero.dtype}; TensorRT has int8 only"
    elif zero.any():
        yield f"'{name}' has a zero point of {int(zero.flat[np.argmax(np.abs(zero))])}; TensorRT's are 0"
    if step is None:
        yield f"'{name}' has a step that is computed; TensorRT needs a constant"
    elif not (np.isfinite(step).all() and (step > 0).all()):
        yield f"'{name}' has a step that is no positive number"


def _weighted_findings(graph: _Graph, node: onnx.NodeProto) -> Iterator[str]:
    name = node.output[0]
    (values, _), (weight, weight_from) = graph.pair(node.input[0]), graph.pair(node.input[1])
    if (values is None) != (weight is None):
        what = "what comes in is" if weight is None else "its weights are"
        yield f"'{name}' runs in float: only {what} quantized"
    if weight is not None:
        stored = graph.constants.get(weight_from.input[0]) if weight_from is not None else None
        if stored is None or stored.dtype not in _FLOATS:
            yield f"'{name}' has weights that are not stored as floats with QuantizeLinear behind them"
        step, axis = graph.constants.get(weight.input[1]), _WEIGHTED[node.op_type]
        own = next((int(a.i) for a in weight.attribute if a.name == "axis"), 1)
        if step is not None and step.size > 1 and axis is not None and own != axis:
            yield f"'{name}' has weights with steps along axis {own}; TensorRT wants one for each output, axis {axis}"
    if values is not None:
        step = graph.constants.get(values.input[1])
        if step is not None and step.size > 1:
            yield f"'{name}' takes values with {step.size} steps; TensorRT has one for a tensor of activations"
    if len(node.input) > 2 and graph.pair(node.input[2])[0] is not None:
        yield f"'{name}' has a quantized bias; TensorRT takes floats there"


def _byte_findings(graph: _Graph, node: onnx.NodeProto) -> Iterator[str]:
    """Bytes may come in and go out, through a Cast each."""
    if node.op_type in ("Cast", "QuantizeLinear", "DequantizeLinear"):
        return
    for name in (*node.input, *node.output):
        if graph.ends.get(name) in _BYTES:
            yield f"{node.op_type} works on the bytes of '{name}'; TensorRT wants a Cast there, and floats behind it"
