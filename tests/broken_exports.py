"""Exports that are broken on purpose, each in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sharpline.lab.boards.made import Made, Options, SourceModel
from sharpline.lab.boards.onnx_formats import onnx_fp32, ort_runner

Harm = Callable[[onnx.GraphProto], None]


def broken(harm: Harm) -> Callable[[SourceModel, Path, Options], list[Made]]:
    """A maker of FP32 files that harms what it has written."""

    def make(model: SourceModel, folder: Path, options: Options) -> list[Made]:
        made = onnx_fp32(model, folder, options)[0]
        path = folder / made.file
        exported = onnx.load(path)
        harm(exported.graph)
        path.write_bytes(exported.SerializeToString())
        return [replace(made, runner=ort_runner(path))]

    return make


def behind(*nodes: onnx.NodeProto, **constants: np.ndarray) -> Harm:
    """Nodes from ``old`` to ``sr`` behind the output."""

    def harm(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            for place, name in enumerate(node.output):
                if name == "sr":
                    node.output[place] = "old"
        graph.node.extend(nodes)
        graph.initializer.extend(numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items())

    return harm


def no_clip(graph: onnx.GraphProto) -> None:
    """The clip becomes nothing."""
    clip = next(node for node in graph.node if node.op_type == "Clip")
    clip.CopyFrom(helper.make_node("Identity", clip.input[:1], list(clip.output), name=clip.name))


def wrapping(graph: onnx.GraphProto) -> None:
    """Of a file with bytes at its ends: rounding without saturation."""
    node = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    place = list(graph.node).index(node)
    sums, levels = node.input[0], node.output[0]
    graph.node.remove(node)
    graph.node.insert(place, helper.make_node("Round", [sums], ["whole"]))
    graph.node.insert(place + 1, helper.make_node("Cast", ["whole"], ["wide"], to=TensorProto.INT32))
    graph.node.insert(place + 2, helper.make_node("Cast", ["wide"], [levels], to=TensorProto.UINT8))


def other_shuffle(graph: onnx.GraphProto) -> None:
    """The outputs of a block as if the colours came first."""
    node = next(node for node in graph.node if node.op_type == "DepthToSpace")
    next(a for a in node.attribute if a.name == "mode").s = b"CRD"


def transposed_shuffle(graph: onnx.GraphProto) -> None:
    """Columns for rows within each block of 4 x 4."""
    last = next(node for node in graph.node if node.op_type == "Conv" and node.name == "conv5")
    for name in last.input[1:3]:
        tensor = next(t for t in graph.initializer if t.name == name)
        values = numpy_helper.to_array(tensor)
        swapped = values.reshape(4, 4, 3, -1).transpose(1, 0, 2, 3).reshape(values.shape)
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(swapped), name))
    anchor = next(t for t in graph.initializer if t.name == "anchor.weight")
    values = numpy_helper.to_array(anchor)
    swapped = values.reshape(4, 4, 3, -1).transpose(1, 0, 2, 3).reshape(values.shape)
    anchor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(swapped), "anchor.weight"))


def not_a_number(graph: onnx.GraphProto) -> None:
    """One bias is NaN."""
    tensor = next(t for t in graph.initializer if t.name == "conv5.bias")
    values = numpy_helper.to_array(tensor).copy()
    values[0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, "conv5.bias"))


def softened(graph: onnx.GraphProto) -> None:
    """Weights of one layer at half their size: a wrong picture without a name."""
    tensor = next(t for t in graph.initializer if t.name == "conv3.weight")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(0.5), "conv3.weight"))


def _two(op: str, value: np.ndarray) -> Harm:
    return behind(helper.make_node(op, ["old", "k"], ["sr"]), k=value)


SWAPPED = behind(helper.make_node("Gather", ["old", "order"], ["sr"], axis=3), order=np.array([2, 1, 0]))
FLOAT_ENDS: dict[str, tuple[Harm, str]] = {
    "swapped channels": (SWAPPED, "red and blue are swapped"),
    "missing clip": (no_clip, "leaves 0..255 by up to [0-9]+ levels: the final clip is missing"),
    "wrong shuffle order": (other_shuffle, "pixel shuffle puts the outputs in the wrong order"),
    "columns for rows": (transposed_shuffle, "pixel shuffle puts the outputs in the wrong order"),
    "scale": (_two("Mul", np.float32(1 / 255)), "1/255 too often"),
    "NaN": (not_a_number, "of the output is NaN"),
    "black": (_two("Mul", np.float32(0)), "the output is black"),
    "constant": (_two("Max", np.float32(255)), "one grey of 255 everywhere"),
    "colour": (_two("Add", np.array([0, 0, -0.3], np.float32)), "a colour's mean is off by -0"),
    "size": (behind(helper.make_node("Concat", ["old", "old"], ["sr"], axis=1)), "the output is"),
    "other weights": (softened, "dB to the source"),
}  # fmt: skip
_CAST = [helper.make_node("Cast", ["old"], ["f"], to=1), helper.make_node("Cast", ["g"], ["sr"], to=2)]
BYTE_ENDS: dict[str, tuple[Harm, str]] = {
    "swapped channels": (SWAPPED, "red and blue are swapped"),
    "missing clip": (wrapping, "values wrap around at 0 and 255: the final clip is missing"),
    "scale": (
        behind(_CAST[0], helper.make_node("Mul", ["f", "k"], ["g"]), _CAST[1], k=np.float32(1 / 255)),
        "1/255 too often",
    ),
}
