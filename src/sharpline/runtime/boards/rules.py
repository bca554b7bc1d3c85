"""What a board asks of a whole file: opset, ends, shapes, quantization, size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from sharpline.runtime.boards.facts import Facts, Tensor
from sharpline.runtime.boards.profile import Board, Takes

_MIB = 2**20
_WEIGHTED = {"Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (1, 2), "MatMul": (1, None)}  # weight, bias


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Attributes:
        rule: its name in words.
        verdict: ``holds``, ``warns`` (it runs, and not as well as it could) or ``stops``.
        reason: why.
        rewrite: what to do about it.
    """

    rule: str
    verdict: Literal["holds", "warns", "stops"]
    reason: str = ""
    rewrite: str = ""


def findings(facts: Facts, board: Board, takes: Takes) -> list[Finding]:
    """What the board's rules say of a file, in order."""
    export = f"sharpline export MODEL --board {board.name}"
    found = [*_opset(facts, takes, export), *_ends(facts, takes, export), *_shapes(facts, takes, export)]
    found += _QUANTIZATION[takes.quantization](facts, board)
    limit = board.limits.parameters_mib
    if limit is not None:
        size = facts.weight_bytes / _MIB
        words = f"{size:.2f} MiB of parameters; {limit:g} MiB fit on the chip"
        more = ", the rest is read from memory for each frame"
        found.append(Finding("parameters", "holds", words) if size <= limit else _warns("parameters", words + more))
    return found


def _warns(rule: str, reason: str, rewrite: str = "") -> Finding:
    return Finding(rule, "warns", reason, rewrite)


def _stops(rule: str, reason: str, rewrite: str = "") -> Finding:
    return Finding(rule, "stops", reason, rewrite)


def _opset(facts: Facts, takes: Takes, export: str) -> Iterator[Finding]:
    if facts.kind != "onnx":
        return
    least, most = takes.least_opset or 1, takes.most_opset
    allowed = f"{takes.by} takes opset {least}" + (" and later" if most is None else f" to {most}")
    if facts.opset is None:
        yield _stops("opset", "the file names no opset of ONNX's own operators")
    elif facts.opset < least or (most is not None and facts.opset > most):
        yield _stops("opset", f"the file has opset {facts.opset}; {allowed}", f"export it again: {export}")
    else:
        yield Finding("opset", "holds", f"{facts.opset}; {allowed}")


def _ends(facts: Facts, takes: Takes, export: str) -> Iterator[Finding]:
    wrong = [tensor for tensor in (*facts.inputs, *facts.outputs) if tensor.type not in takes.ends]
    if wrong:
        names = ", ".join(f"'{tensor.name}' is {tensor.type}" for tensor in wrong)
        allowed = ", ".join(takes.ends)
        yield _stops("ends", f"{names}; {takes.by} takes {allowed} there", f"export it again: {export}")
    else:
        types = ", ".join(dict.fromkeys(tensor.type for tensor in (*facts.inputs, *facts.outputs)))
        yield Finding("ends", "holds", types)


def _shapes(facts: Facts, takes: Takes, export: str) -> Iterator[Finding]:
    is_open = [tensor for tensor in (*facts.inputs, *facts.outputs) if None in tensor.shape]
    if takes.static and is_open:
        yield _stops("shape", f"{_shape(is_open[0])} is open; every size has to be a number", f"{export} --size WxH")
    elif is_open and takes.by.startswith("TensorRT"):
        yield _warns(
            "shape",
            f"{_shape(is_open[0])} is open: trtexec then needs --minShapes, --optShapes and --maxShapes",
            f"a static file builds the faster engine: {export} --size WxH",
        )
    else:
        yield Finding("shape", "holds", "; ".join(_shape(tensor) for tensor in (*facts.inputs, *facts.outputs)))
    if takes.quantization == "full-integer":
        many = [
            t for t in facts.tensors if len(t.shape) > 3 and any(size != 1 for size in t.shape[:-3]) and not t.constant
        ]
        if many:
            reason = f"{_shape(many[0])}: only the three innermost sizes may be above 1 on the Edge TPU"
            yield _warns("dimensions", reason, "a batch of one, and no operator that needs a fifth dimension")
        if facts.graphs > 1:
            yield _stops("graphs", f"the file has {facts.graphs} graphs; the Edge TPU compiler takes one")


def _shape(tensor: Tensor) -> str:
    return f"'{tensor.name}' " + " x ".join("?" if size is None else str(size) for size in tensor.shape)


def _any(facts: Facts, board: Board) -> list[Finding]:
    return []


def _none(facts: Facts, board: Board) -> list[Finding]:
    quantized = sorted(
        {op.name for op in facts.operators if "QuantizeLinear" in op.name or op.name.startswith("QLinear")}
    )
    if not quantized:
        return [Finding("quantization", "holds", "none")]
    reason = board.precisions.refused.get("int8", "it takes no quantized network")
    return [_stops("quantization", f"the file is quantized ({', '.join(quantized)}): {reason}",
                   f"export the float form: sharpline export MODEL --board {board.name}")]  # fmt: skip


def _full_integer(facts: Facts, board: Board) -> list[Finding]:
    floats = [tensor for tensor in facts.tensors if tensor.type.startswith(("float", "bfloat"))]
    if not floats:
        return [Finding("quantization", "holds", "every tensor is an integer")]
    ends = [tensor for tensor in (*facts.inputs, *facts.outputs) if tensor.type.startswith("float")]
    reason = f"{len(floats)} of {len(facts.tensors)} tensors are float ('{floats[0].name}' first)"
    reason += f"; the {board.accelerator} computes in integers"
    rewrite = "quantize the whole graph to 8 bits, the ends included: sharpline compress, then sharpline export"
    computing = len(floats) > len(ends)
    return [(_stops if computing else _warns)("quantization", reason, rewrite)]


def _tensorrt(facts: Facts, board: Board) -> list[Finding]:
    assert facts.graph is not None
    graph = facts.graph.graph
    quantizing = [n for n in graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    if not quantizing:
        return [Finding("quantization", "holds", "none: the engine computes in FP16 or FP32")]
    export = f"export it again: sharpline export MODEL --board {board.name}"
    constants = {tensor.name: tensor for tensor in graph.initializer}
    constants.update(
        (n.output[0], a.t) for n in graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"
    )
    makers = {name: node for node in graph.node for name in node.output}
    found = []
    if shifted := [n for n in quantizing if not _is_symmetric(n, constants)]:
        first = shifted[0].output[0]
        reason = f"{len(shifted)} of {len(quantizing)} Q/DQ operators are not symmetric INT8 ('{first}' first)"
        found.append(_stops("zero points", f"{reason}: TensorRT takes int8 with zero point 0 only", export))
    biases = [n for n in graph.node if _dequantized(n, 1, makers)]
    if biases:
        reason = f"{len(biases)} operators have a bias behind DequantizeLinear ('{biases[0].output[0]}' first)"
        found.append(_stops("bias", f"{reason}: TensorRT takes biases as floats", export))
    stored = [n for n in graph.node if (dq := _dequantized(n, 0, makers)) is not None and dq.input[0] in constants]
    if stored:
        reason = f"{len(stored)} operators have weights stored as integers ('{stored[0].output[0]}' first)"
        more = "FP32 weights with a pair of Q/DQ are what every TensorRT takes; newer ones also take integers"
        found.append(_warns("weights", f"{reason}: {more}", export))
    return found or [Finding("quantization", "holds", "int8, zero points 0, FP32 weights with Q/DQ, float biases")]


def _is_symmetric(node: onnx.NodeProto, constants: dict[str, TensorProto]) -> bool:
    """Whether the zero point is there, is int8 and is 0; without one the type is uint8."""
    zero = constants.get(node.input[2]) if len(node.input) > 2 else None
    if zero is None or zero.data_type not in (TensorProto.INT8, TensorProto.INT32):
        return False
    return not np.any(numpy_helper.to_array(zero))


def _dequantized(node: onnx.NodeProto, part: int, makers: dict[str, onnx.NodeProto]) -> onnx.NodeProto | None:
    """The DequantizeLinear that makes a weight (part 0) or a bias (part 1)."""
    place = _WEIGHTED.get(node.op_type, (None, None))[part]
    maker = makers.get(node.input[place]) if place is not None and len(node.input) > place else None
    return maker if maker is not None and maker.op_type == "DequantizeLinear" else None


_QUANTIZATION: dict[str, Callable[[Facts, Board], list[Finding]]] = {
    "any": _any,
    "none": _none,
    "full-integer": _full_integer,
    "tensorrt": _tensorrt,
}
