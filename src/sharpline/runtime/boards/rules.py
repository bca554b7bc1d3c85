"""What a board asks of a whole file: opset, ends, shapes, quantization, size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sharpline.runtime.boards.facts import Facts, Tensor
from sharpline.runtime.boards.profile import Board, Takes
from sharpline.runtime.formats.orin_rules import orin_rules

_MIB = 2**20


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
    if quantized == ["QuantizeLinear"]:  # of a network in floats: it makes bytes of the result
        return [_stops("quantization", "QuantizeLinear rounds the result to bytes, which is not for its compiler",
                       f"export it for this board: sharpline export MODEL --board {board.name}")]  # fmt: skip
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
    export = f"export it again: sharpline export MODEL --board {board.name}"
    kinds: dict[tuple[str, bool], list[str]] = {}
    for breach in orin_rules(facts.graph):
        kinds.setdefault((breach.rule, breach.stops), []).append(breach.reason)
    if kinds:
        return [
            (_stops if stops else _warns)(rule, reasons[0] + _and_more(len(reasons) - 1), export)
            for (rule, stops), reasons in kinds.items()
        ]
    if any(op.name in ("QuantizeLinear", "DequantizeLinear") for op in facts.operators):
        return [Finding("quantization", "holds", "int8, zero points 0, FP32 weights with Q/DQ, float biases")]
    return [Finding("quantization", "holds", "none: the engine computes in FP16 or FP32")]


def _and_more(count: int) -> str:
    return "" if count == 0 else f" (and {count} more place{'s' if count > 1 else ''})"


_QUANTIZATION: dict[str, Callable[[Facts, Board], list[Finding]]] = {
    "any": _any,
    "none": _none,
    "full-integer": _full_integer,
    "tensorrt": _tensorrt,
}
