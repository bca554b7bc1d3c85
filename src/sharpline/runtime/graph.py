"""Rewrites a network with 8-bit pictures at its ends into the same network with float32 pictures.

The convention: the input is moved about at most before it becomes float (by a ``Cast`` or a ``DequantizeLinear``);
the output is rounded, clipped to 0..255 and cast to uint8 (as one ``QuantizeLinear``, or as ``Round``, ``Clip`` and
``Cast``), and after that only moved about.

An INT8 network becomes its float twin: the same weights and the same saturation, without the rounding between
layers. A picture of 16 bits would be worth no more than 8 behind integers.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sharpline.errors import ModelError

_MOVES = {"Transpose", "Reshape", "Split", "Concat", "DepthToSpace", "Slice", "Squeeze", "Unsqueeze", "Identity"}


class _Rewriter:
    """The graph with the maps that a rewrite needs: who makes a tensor, who reads it."""

    def __init__(self, model: onnx.ModelProto, source: str) -> None:
        self.graph = model.graph
        self.source = source
        self.maker = {name: node for node in self.graph.node for name in node.output}
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.graph.node:
            for name in node.input:
                self.readers[name].append(node)
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}

    def refusal(self, reason: str) -> ModelError:
        return ModelError(
            f"{self.source}: cannot run this picture in float ({reason}); "
            "use an 8-bit picture in the model's own colour mode, or a model exported with sharpline"
        )

    def constant(self, name: str) -> float:
        """Value of a scalar constant tensor."""
        tensor = self.constants.get(name)
        maker = self.maker.get(name)
        if tensor is None and maker is not None and maker.op_type == "Constant":
            tensor = next((a.t for a in maker.attribute if a.name == "value"), None)
        if tensor is None:
            raise self.refusal(f"'{name}' is not a constant")
        values = np.unique(numpy_helper.to_array(tensor))
        return float(values[0]) if len(values) == 1 else float("nan")

    def step(self, node: onnx.NodeProto) -> tuple[float, float]:
        """Scale and zero point of a quantizing or dequantizing node."""
        return self.constant(node.input[1]), self.constant(node.input[2]) if len(node.input) > 2 else 0.0

    def type_of(self, node: onnx.NodeProto) -> np.dtype[Any]:
        """What a quantizing node makes: the type of its zero point."""
        zero = self.constants.get(node.input[2]) if len(node.input) > 2 else None
        return np.dtype(np.uint8) if zero is None else np.dtype(helper.tensor_dtype_to_np_dtype(zero.data_type))

    def add(self, name: str, value: np.generic) -> str:
        """Adds a constant and returns its name."""
        self.constants[name] = self.graph.initializer.add()
        self.constants[name].CopyFrom(numpy_helper.from_array(np.asarray(value), name))
        return name

    def bypass(self, node: onnx.NodeProto) -> None:
        """Removes a node: its readers read its first input instead."""
        old, new = node.output[0], node.input[0]
        for reader in self.readers.pop(old, []):
            for index, name in enumerate(reader.input):
                if name == old:
                    reader.input[index] = new
            self.readers[new].append(reader)
        self.graph.node.remove(node)


def _attribute(node: onnx.NodeProto, name: str) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), -1)


def _open_input(rewriter: _Rewriter) -> None:
    """Drops the step from uint8 to float behind the input; ``Shape`` may read the input as it is."""
    value = next(v for v in rewriter.graph.input if v.name not in rewriter.constants)
    waiting, entrances = [value.name], []
    while waiting:
        for node in rewriter.readers[waiting.pop()]:
            if node.op_type in (*_MOVES, "Pad") and len(node.input) < 3:  # a third input would be what is padded with
                waiting += node.output
            elif _makes_float(rewriter, node):
                entrances.append(node)
            elif node.op_type != "Shape":
                raise rewriter.refusal("the input is not cast to float first")
    if not entrances:
        raise rewriter.refusal("the input is not cast to float first")
    for node in entrances:
        rewriter.bypass(node)
    value.type.tensor_type.elem_type = TensorProto.FLOAT


def _makes_float(rewriter: _Rewriter, node: onnx.NodeProto) -> bool:
    if node.op_type == "DequantizeLinear":
        return rewriter.step(node) == (1, 0)
    return node.op_type == "Cast" and _attribute(node, "to") == TensorProto.FLOAT


def _rounding(rewriter: _Rewriter, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes that turn floats into bytes, the last of which is ``node``."""
    if node.op_type == "QuantizeLinear":
        if rewriter.step(node) != (1, 0):
            raise rewriter.refusal("the output's levels are not 0..255")
        return [node]
    if node.op_type != "Cast" or _attribute(node, "to") != TensorProto.UINT8:
        raise rewriter.refusal(f"the output is made by {node.op_type}, not by rounding and a cast to uint8")
    chain = [node]
    while (before := rewriter.maker.get(chain[-1].input[0])) and before.op_type in ("Round", "Clip"):
        if before.op_type == "Clip" and [rewriter.constant(name) for name in before.input[1:]] != [0, 255]:
            raise rewriter.refusal("the output is not clipped to 0..255")
        chain.append(before)
    if any(len(rewriter.readers[step.output[0]]) > 1 for step in chain[1:]):
        raise rewriter.refusal("the rounded output is used twice")
    return chain


def _open_output(rewriter: _Rewriter) -> None:
    """Walks back from the output through moves of data, and drops the rounding it meets."""
    waiting, seen = [rewriter.graph.output[0].name], set[str]()
    while waiting:
        name = waiting.pop()
        node = rewriter.maker.get(name)
        if node is None:
            raise rewriter.refusal("the output is not made by a network")
        if name in seen:
            continue
        seen.update(node.output)
        if node.op_type in _MOVES:
            waiting += node.input if node.op_type == "Concat" else node.input[:1]
            continue
        for step in _rounding(rewriter, node):
            if step.output[0] == rewriter.graph.output[0].name:  # nothing to move: keep the output's name
                rewriter.graph.node.append(helper.make_node("Identity", [step.input[0]], [step.output[0]]))
                rewriter.graph.node.remove(step)
            else:
                rewriter.bypass(step)
    rewriter.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT


def _open_levels(rewriter: _Rewriter) -> None:
    """Between layers, puts a clip in the place of each rounding to levels: what saturated still does."""
    for node in [n for n in rewriter.graph.node if n.op_type == "QuantizeLinear"]:
        step, zero = rewriter.step(node)
        kind = rewriter.type_of(node)
        ends = [np.float32((end - zero) * step) for end in (np.iinfo(kind).min, np.iinfo(kind).max)]
        for reader in list(rewriter.readers[node.output[0]]):
            if reader.op_type == "Clip":
                reader = _in_float(rewriter, reader, step, zero)
            if reader.op_type != "DequantizeLinear" or rewriter.step(reader) != (step, zero):
                raise rewriter.refusal(f"'{node.output[0]}' is rounded, and not by a pair of operators")
            rewriter.bypass(reader)
        names = [
            rewriter.add(f"{node.output[0]}.{end}", value) for end, value in zip(("low", "high"), ends, strict=True)
        ]
        node.CopyFrom(helper.make_node("Clip", [node.input[0], *names], list(node.output), name=node.name))


def _in_float(rewriter: _Rewriter, clip: onnx.NodeProto, step: float, zero: float) -> onnx.NodeProto:
    """Makes a clip of levels (4 bits in a byte) one of floats; returns its reader."""
    for place in (1, 2):
        end = np.float32((rewriter.constant(clip.input[place]) - zero) * step)
        clip.input[place] = rewriter.add(f"{clip.output[0]}.{place}", end)
    readers = rewriter.readers[clip.output[0]]
    if len(readers) != 1:
        raise rewriter.refusal(f"'{clip.output[0]}' is used {len(readers)} times")
    return readers[0]


def to_float_io(model: onnx.ModelProto, *, source: str = "model") -> onnx.ModelProto:
    """Gives the same network with float32 input and output, in levels 0..255, neither rounded nor clipped.

    Args:
        model: A model of our convention, uint8 at both ends; not changed.
        source: Name of the file for error messages.

    Returns:
        A new model, float32 1 x H x W x C in, float32 1 x H*s x W*s x C out; of an INT8 model its float twin.

    Raises:
        ModelError: The graph is not built by the convention.
    """
    floating = onnx.ModelProto()
    floating.CopyFrom(model)
    rewriter = _Rewriter(floating, source)
    _open_input(rewriter)
    _open_output(rewriter)
    _open_levels(rewriter)
    del floating.graph.value_info[:]
    read = {name for node in floating.graph.node for name in node.input}
    unused = [tensor for tensor in floating.graph.initializer if tensor.name not in read]
    for tensor in unused:
        floating.graph.initializer.remove(tensor)
    return floating
