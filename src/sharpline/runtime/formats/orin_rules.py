"""What TensorRT asks of a quantized ONNX file, checked without TensorRT.

NVIDIA, "Working with quantized types", section "explicit quantization", and the operator table of onnx-tensorrt
10: symmetric INT8, one step for a tensor of activations, one for each output of weights; float biases; no bytes between
the ends. Which operators and opsets it takes at all is in the board's profile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

_LEAST_OPSET = 13  # steps for each channel came with it
_WEIGHTED = {"Conv": 0, "ConvTranspose": 1, "Gemm": None, "MatMul": None}  # axis of a weight's outputs
_PAIRS = ("QuantizeLinear", "DequantizeLinear")
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
_BYTES = (TensorProto.UINT8, TensorProto.INT8)


class Breach(NamedTuple):
    """A rule that a file breaks.

    Attributes:
        rule: its name in words.
        reason: what in the file breaks it, in a sentence.
        stops: whether TensorRT refuses the file; else a part of it runs in float, or only newer versions take it.
    """

    rule: str
    reason: str
    stops: bool = True


class _Graph:
    """The maps that the rules need. Weights may lie in other files, which are not opened."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and node.output:
                self.constants.update((node.output[0], a.t) for a in node.attribute if a.name == "value")
        self.ends = {v.name: v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)}

    def array(self, name: str) -> NDArray[Any] | None:
        """The values of a constant; None where it is none, or lies elsewhere."""
        tensor = self.constants.get(name)
        if tensor is None or tensor.data_location == TensorProto.EXTERNAL:
            return None
        try:
            return numpy_helper.to_array(tensor)
        except Exception:  # a damaged one; onnx's errors have no common base
            return None

    def pair(self, name: str) -> tuple[onnx.NodeProto | None, onnx.NodeProto | None]:
        """The DequantizeLinear that makes a tensor, and the QuantizeLinear before that."""
        second = self.makers.get(name)
        if second is None or second.op_type != "DequantizeLinear":
            return None, None
        first = self.makers.get(second.input[0])
        return second, first if first is not None and first.op_type == "QuantizeLinear" else None

    def level_type(self, node: onnx.NodeProto) -> int | None:
        """Type of a pair's levels: its zero point's; None where it cannot be told."""
        zero = self.constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero is not None:
            return int(zero.data_type)
        if len(node.input) > 2 and node.input[2]:
            return None
        stored = self.constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        return int(TensorProto.UINT8) if stored is None else int(stored.data_type)


def orin_rules(model: onnx.ModelProto) -> list[Breach]:
    """What in a file TensorRT 10 would stop at, or not run in integers.

    Args:
        model: any ONNX model.

    Returns:
        The rules that it breaks, once for each place; none where all is well, which a float file is too.

    Example:
        >>> from sharpline.runtime.formats.orin import orin_graph
        >>> from sharpline.runtime.integer import IntegerLayer, IntegerModel
        >>> from sharpline.runtime.integer_graph import integer_graph
        >>> tail = IntegerLayer("tail", np.ones((4, 1, 3, 3), np.int8), np.zeros(4, np.int32), np.ones(4, "f4"))
        >>> orin_rules(orin_graph(IntegerModel((tail,), 2, 1)))
        []
        >>> orin_rules(integer_graph(IntegerModel((tail,), 2, 1)))[0].reason
        "Transpose works on the bytes of 'lr'; TensorRT wants a Cast there, and floats behind it"
    """
    graph = _Graph(model)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    found = []
    if opset < _LEAST_OPSET and any(node.op_type in _PAIRS for node in graph.nodes):
        found.append(Breach("opset of Q/DQ", f"the opset is {opset}; quantized files need {_LEAST_OPSET} or later"))
    for node in graph.nodes:
        if node.op_type in _PAIRS and len(node.input) > 1:
            found += _step_breaches(graph, node)
        elif node.op_type in _WEIGHTED and len(node.input) > 1:
            found += _weighted_breaches(graph, node)
        found += _byte_breaches(graph, node)
    return found


def _step_breaches(graph: _Graph, node: onnx.NodeProto) -> Iterator[Breach]:
    name, kind = node.output[0], graph.level_type(node)
    zero = graph.array(node.input[2]) if len(node.input) > 2 else None
    if kind is None:
        yield Breach("zero points", f"'{name}' has a zero point that is computed; TensorRT's are 0")
    elif kind not in (TensorProto.INT8, TensorProto.INT32):  # INT32: of a bias, which has a sentence of its own
        levels = TensorProto.DataType.Name(kind).lower()
        yield Breach("zero points", f"'{name}' has levels of {levels}; TensorRT has int8 only")
    elif zero is not None and zero.any():
        largest = int(zero.flat[np.argmax(np.abs(zero))])
        yield Breach("zero points", f"'{name}' has a zero point of {largest}; TensorRT's are 0")
    step = graph.array(node.input[1])
    if node.input[1] not in graph.constants:
        yield Breach("steps", f"'{name}' has a step that is computed; TensorRT needs a constant")
    elif step is not None and not (np.isfinite(step).all() and (step > 0).all()):
        yield Breach("steps", f"'{name}' has a step that is no positive number")


def _weighted_breaches(graph: _Graph, node: onnx.NodeProto) -> Iterator[Breach]:
    name = node.output[0]
    (values, _), (weight, weight_from) = graph.pair(node.input[0]), graph.pair(node.input[1])
    if (values is None) != (weight is None):
        what = "what comes in is" if weight is None else "its weights are"
        yield Breach("pairs", f"'{name}' runs in float: only {what} quantized", stops=False)
    if weight is not None:
        stored = graph.constants.get((weight_from or weight).input[0])
        if stored is not None and stored.data_type not in _FLOATS:
            words = "weights stored as integers; every TensorRT takes floats with Q/DQ behind them, newer ones these"
            yield Breach("weights", f"'{name}' has {words}", stops=False)
        step, axis = graph.array(weight.input[1]), _WEIGHTED[node.op_type]
        own = next((int(a.i) for a in weight.attribute if a.name == "axis"), 1)
        if step is not None and step.size > 1 and axis is not None and own != axis:
            words = f"weights with steps along axis {own}; TensorRT wants one for each output, axis {axis}"
            yield Breach("weights", f"'{name}' has {words}")
    if values is not None:
        step = graph.array(values.input[1])
        if step is not None and step.size > 1:
            words = f"takes values with {step.size} steps; TensorRT has one for a tensor of activations"
            yield Breach("steps", f"'{name}' {words}")
    if len(node.input) > 2 and graph.pair(node.input[2])[0] is not None:
        yield Breach("bias", f"'{name}' has a quantized bias; TensorRT takes floats there")


def _byte_breaches(graph: _Graph, node: onnx.NodeProto) -> Iterator[Breach]:
    """Bytes may come in and go out, through a Cast each."""
    if node.op_type in ("Cast", *_PAIRS):
        return
    for name in (*node.input, *node.output):
        if graph.ends.get(name) in _BYTES:
            words = f"works on the bytes of '{name}'; TensorRT wants a Cast there, and floats behind it"
            yield Breach("bytes", f"{node.op_type} {words}")
