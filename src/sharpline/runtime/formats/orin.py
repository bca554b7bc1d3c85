"""The ONNX graph of an integer network for TensorRT 10 (Jetson Orin): QDQ with signed bytes and no zero points.

TensorRT knows signed levels only, -127..127 around 0; ours are 0..255. Between layers, behind a ReLU, half of its
range is never used, so a level there is two of ours: activations have 7 bits. (With an offset of 128 they would keep
8, but then the border would no longer be zeros, and every layer would need a padding of its own.) The picture does keep
its 8 bits: 128 is taken off it, behind an explicit border, and put into the bias. Only convolutions are quantized:
the anchor, the sum and the shuffle are float or half, as TensorRT likes.
"""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from sharpline.runtime.formats.stack import require_relus
from sharpline.runtime.graph_parts import GraphBuilder
from sharpline.runtime.integer import IntegerLayer, IntegerModel, check_integer

_MIDDLE = 128  # taken off the picture
_LARGEST = 127  # of a signed level


def orin_graph(model: IntegerModel, ends: Literal["uint8", "float32"] = "uint8") -> onnx.ModelProto:
    """Build the graph.

    Args:
        model: the integer network.
        ends: type of the pictures; ``float32`` ones hold levels, those that come out cut to 0..255 and not rounded.

    Returns:
        A checked model of opset 18: ``lr`` [1, H, W, colours] -> ``sr`` [1, H * scale, W * scale, colours].

    Raises:
        ModelError: parts that do not fit together.

    Example:
        >>> tail = IntegerLayer("tail", np.zeros((12, 3, 1, 1), np.int8), np.zeros(12, np.int32), np.ones(12, "f4"))
        >>> [node.op_type for node in orin_graph(IntegerModel((tail,), 2, 3)).graph.node][-3:]
        ['Clip', 'Round', 'Cast']
    """
    require_relus(check_integer(model))
    graph = GraphBuilder()
    lr = graph.node("Cast", ["lr"], "lr_float", to=TensorProto.FLOAT) if ends == "uint8" else "lr"
    graph.node("Transpose", [lr], "lr_planes", perm=[0, 3, 1, 2])
    first = model.layers[0]
    centred = _centred(graph, first.weight.shape[2] // 2)
    features = _convolution(graph, _quantized(graph, centred, 1), first, offset=_MIDDLE)
    for before, layer in itertools.pairwise(model.layers):
        features = _convolution(graph, _activated(graph, features, before), layer)
    if model.anchor is not None:
        features = graph.node("Add", [features, _anchor(graph, model, model.anchor)], "sum")
    graph.node("DepthToSpace", [features], "sr_planes", blocksize=model.scale, mode="DCR")
    graph.node("Transpose", ["sr_planes"], "sr_pixels", perm=[0, 2, 3, 1])
    limits = [graph.constant("black", np.float32(0)), graph.constant("white", np.float32(255))]
    graph.node("Clip", ["sr_pixels", *limits], "sr_clipped" if ends == "uint8" else "sr")
    if ends == "uint8":
        graph.node("Round", ["sr_clipped"], "sr_rounded")
        graph.node("Cast", ["sr_rounded"], "sr", to=TensorProto.UINT8)
    whole = graph.model(model.colours)
    if ends == "float32":
        for value in (whole.graph.input[0], whole.graph.output[0]):
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    return whole


def _centred(graph: GraphBuilder, border: int) -> str:
    """The picture around 0, its border of zeros with it."""
    widths = graph.constant("lr_border", np.array([0, 0, border, border] * 2, np.int64))
    graph.node("Pad", ["lr_planes", widths], "lr_bordered")
    return graph.node("Sub", ["lr_bordered", graph.constant("middle", np.float32(_MIDDLE))], "lr_centred")


def _activated(graph: GraphBuilder, features: str, layer: IntegerLayer) -> str:
    """What comes out of a layer, cut and rounded."""
    if layer.top > _LARGEST:  # the signed level's own end is the upper one
        return _quantized(graph, graph.node("Relu", [features], f"{layer.name}.relu"), 2)
    ends = [graph.constant("black", np.float32(0)), graph.constant(f"{layer.name}.top", np.float32(layer.top))]
    return _quantized(graph, graph.node("Clip", [features, *ends], f"{layer.name}.cut"), 1)


def _quantized(graph: GraphBuilder, values: str, step: int) -> str:
    """Floats rounded to signed levels that are worth ``step``, as floats again."""
    how = [graph.constant(f"step{step}", np.float32(step)), graph.constant("zero", np.int8(0))]
    return _pair(graph, values, how)


def _pair(graph: GraphBuilder, values: str, how: list[str], **axis: int) -> str:
    levels = graph.node("QuantizeLinear", [values, *how], f"{values}.levels", **axis)
    return graph.node("DequantizeLinear", [levels, *how], f"{values}.rounded", **axis)


def _convolution(graph: GraphBuilder, features: str, layer: IntegerLayer, *, offset: int = 0) -> str:
    """A quantized convolution, its result in float; ``offset`` was taken off what comes in, whose border is there."""
    name, steps = layer.name, layer.multiplier.astype(np.float64)
    weight = graph.constant(f"{name}.weight", (layer.weight * steps[:, None, None, None]).astype(np.float32))
    how = [graph.constant(f"{name}.step", layer.multiplier), graph.constant(f"{name}.zero", np.zeros(len(steps), "i1"))]
    taken = offset * layer.weight.astype(np.int64).sum((1, 2, 3))
    bias = graph.constant(f"{name}.bias", ((layer.bias + taken) * steps).astype(np.float32))
    side = layer.weight.shape[2]
    inputs = [features, _pair(graph, weight, how, axis=0), bias]
    return graph.convolve(inputs, name, side, padding=0 if offset else side // 2)


def _anchor(graph: GraphBuilder, model: IntegerModel, anchor: NDArray[np.int32]) -> str:
    """The enlarged picture, in float."""
    outputs = np.arange(len(anchor))
    kernel = np.zeros((len(anchor), model.colours, 3, 3), np.float32)
    kernel[outputs, outputs % model.colours] = anchor * model.layers[-1].multiplier[:, None, None]
    weight = graph.constant("anchor.weight", kernel)
    return graph.convolve([graph.bordered("lr_planes"), weight], "anchor", 3, padding=0)
