"""The INT8 ONNX graph of an integer network, and the integer network of such a graph.

The form is QDQ, which every engine reads, with a trick or two found by measurement (``docs/integer.md``):
activations have scale 1 (a unit is a level), so that a weight's scale *is* the requantization's multiplier; the
anchor is a part of the last convolution, so that nothing is left behind it but the shuffle of bytes. To that end
the last convolution also sees patches: the pixels around each pixel of the input picture, copied by a
convolution with one 1 a channel, which engines run in integers and which brings its own border.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from sharpline.errors import ModelError
from sharpline.runtime.graph_parts import GraphBuilder
from sharpline.runtime.integer import IntegerLayer, IntegerModel, check_integer

_LARGEST = 127  # of a weight
_CENTRE = (1, 1)

Kernel = NDArray[np.int8]


def integer_graph(model: IntegerModel) -> onnx.ModelProto:
    """Build the graph.

    Args:
        model: the integer network.

    Returns:
        A checked model of opset 18: ``lr`` uint8 [1, H, W, colours] -> ``sr`` uint8 [1, H*scale, W*scale, colours].

    Raises:
        ModelError: parts that do not fit together, or an anchor in too small a unit.

    Example:
        >>> tail = IntegerLayer("tail", np.zeros((12, 3, 1, 1), np.int8), np.zeros(12, np.int32), np.ones(12, "f4"))
        >>> graph = integer_graph(IntegerModel((tail,), 2, 3)).graph
        >>> [node.op_type for node in graph.node][:5]
        ['Transpose', 'DequantizeLinear', 'DequantizeLinear', 'DequantizeLinear', 'Conv']
    """
    check_integer(model)
    graph = GraphBuilder()
    graph.node("Transpose", ["lr"], "lr_planes", perm=[0, 3, 1, 2])
    features = _from_levels(graph, "lr_planes", "lr_float")
    for layer in model.layers[:-1]:
        features = _hidden(graph, features, layer)
    last = model.layers[-1]
    if model.anchor is not None:
        features, last = _with_anchor(graph, features, last, model)
    _convolution(graph, features, last)
    _to_levels(graph, last.name, "sum_levels")
    graph.shuffle("sum_levels", model.scale, model.colours)
    return graph.model(model.colours)


def _hidden(graph: GraphBuilder, features: str, layer: IntegerLayer) -> str:
    convolved = _convolution(graph, features, layer)
    graph.node("Relu", [convolved], f"{layer.name}.relu")
    levels = _to_levels(graph, f"{layer.name}.relu", f"{layer.name}.levels")
    if layer.top < 255:
        black, top = graph.constant("zero", np.uint8(0)), graph.constant(f"{layer.name}.top", np.uint8(layer.top))
        levels = graph.node("Clip", [levels, black, top], f"{layer.name}.cut")
    return _from_levels(graph, levels, f"{layer.name}.out")


def _convolution(graph: GraphBuilder, features: str, layer: IntegerLayer) -> str:
    name, outputs = layer.name, len(layer.bias)
    step = graph.constant(f"{name}.multiplier", layer.multiplier)
    inputs = [features]
    for part, values in (("weight", layer.weight), ("bias", layer.bias)):
        zero = graph.constant(f"{name}.{part}_zero", np.zeros(outputs, values.dtype))
        stored = graph.constant(f"{name}.{part}", values)
        inputs.append(graph.node("DequantizeLinear", [stored, step, zero], f"{name}.{part}_float", axis=0))
    side = layer.weight.shape[2]
    return graph.convolve(inputs, name, side, padding=side // 2)


def _to_levels(graph: GraphBuilder, values: str, name: str) -> str:
    return graph.node("QuantizeLinear", [values, *_unit(graph)], name)


def _from_levels(graph: GraphBuilder, levels: str, name: str) -> str:
    return graph.node("DequantizeLinear", [levels, *_unit(graph)], name)


def _unit(graph: GraphBuilder) -> list[str]:
    return [graph.constant("one", np.float32(1)), graph.constant("zero", np.uint8(0))]


def _with_anchor(
    graph: GraphBuilder, features: str, last: IntegerLayer, model: IntegerModel
) -> tuple[str, IntegerLayer]:
    """The last layer with the patches among its inputs, and those inputs."""
    assert model.anchor is not None
    copies, taps = _patches(model.anchor, model.colours, odd=last.weight.shape[1] % 2 == 1)
    bordered = _from_levels(graph, graph.bordered("lr_planes"), "bordered_float")
    ones, zeros = np.ones(len(copies), np.float32), np.zeros(len(copies), np.int8)
    weight = [graph.constant(n, v) for n, v in (("patches.weight", copies), ("patches.one", ones), ("none", zeros))]
    graph.node("DequantizeLinear", weight, "patches.weight_float", axis=0)
    graph.convolve([bordered, "patches.weight_float"], "patches", 3, padding=0)
    patches = _from_levels(graph, _to_levels(graph, "patches", "patches.levels"), "patches.out")
    joined = graph.node("Concat", [features, patches], "joined", axis=1)
    joined = _from_levels(graph, _to_levels(graph, joined, "joined.levels"), "joined.out")
    side = last.weight.shape[2]
    centred = np.zeros((*taps.shape, side, side), np.int8)
    centred[:, :, side // 2, side // 2] = taps
    weight_all = np.concatenate([last.weight, centred], axis=1)
    return joined, IntegerLayer(last.name, weight_all, last.bias, last.multiplier, last.top)


def _patches(anchor: NDArray[np.int32], colours: int, *, odd: bool) -> tuple[Kernel, Kernel]:
    """The anchor as weights of patches.

    A weight holds 127 at most, so there are as many copies of the middle pixel as its share of the anchor needs.
    Two of a pair (see ``is_pair_safe``) never serve the same output: with three colours by themselves, with one
    because every second channel is empty. ``odd``: one empty channel goes first, which keeps the pairs.

    Returns:
        The convolution that makes the patches [P, colours, 3, 3] and their weights [outputs, P].
    """
    middle = max(1, -(-int(np.abs(anchor[:, 1, 1]).max()) // _LARGEST))
    places = [(row, column) for row in range(3) for column in range(3)] + [_CENTRE] * (middle - 1)
    stride, first = (2 if colours == 1 else 1), int(odd)
    width = -(-(first + stride * colours * len(places)) // 4) * 4
    copies = np.zeros((width, colours, 3, 3), np.int8)
    taps = np.zeros((len(anchor), width), np.int32)
    for number, place in enumerate(places):
        share = number - 8 if place == _CENTRE and number > 8 else 0
        for colour in range(colours):
            channel = first + stride * (colours * number + colour)
            copies[channel, colour, *place] = 1
            own = anchor[colour::colours, *place]
            taps[colour::colours, channel] = (own + share) // middle if place == _CENTRE else own
    if np.abs(taps).max() > _LARGEST:
        raise ModelError(
            f"the anchor's weights reach {np.abs(taps).max()}, more than a byte holds: a larger unit is due"
        )
    return copies, taps.astype(np.int8)


def integer_model(model: onnx.ModelProto, source: str = "model") -> IntegerModel:
    """The integer network that a graph of :func:`integer_graph` holds: the way back.

    Args:
        model: the graph.
        source: name of its file for error messages.

    Raises:
        ModelError: the graph is not of this form.

    Example:
        >>> tail = IntegerLayer("tail", np.ones((4, 1, 3, 3), np.int8), np.zeros(4, np.int32), np.ones(4, "f4"))
        >>> integer_model(integer_graph(IntegerModel((tail,), 2, 1))).layers[0].weight.shape
        (4, 1, 3, 3)
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    names = [node.output[0] for node in model.graph.node if node.op_type == "Conv" and node.output[0] != "patches"]
    try:
        layers = [_layer(constants, name) for name in names]
        scale = int(constants["factors"][1])
        colours, copies = layers[0].weight.shape[1], constants.get("patches.weight")
        anchor = None
        if copies is not None:
            last = layers[-1]
            features, middle = last.weight.shape[1] - len(copies), last.weight.shape[2] // 2
            taps = last.weight[:, features:, middle, middle].astype(np.int32)
            # An output's own colour is the only one that it has taps for.
            anchor = np.einsum("op,pcij->oij", taps, copies.astype(np.int32)).astype(np.int32)
            weight = np.ascontiguousarray(last.weight[:, :features])
            layers[-1] = IntegerLayer(last.name, weight, last.bias, last.multiplier)
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(
            f"{source}: is not an integer network of Sharpline's form; export it with sharpline"
        ) from error
    return check_integer(IntegerModel(tuple(layers), scale, colours, anchor), source)


def _layer(constants: dict[str, NDArray[Any]], name: str) -> IntegerLayer:
    parts = [constants[f"{name}.{part}"] for part in ("weight", "bias", "multiplier")]
    if [part.dtype.name for part in parts] != ["int8", "int32", "float32"] or parts[0].ndim != 4:
        raise ValueError(name)
    weight, bias, multiplier = parts
    return IntegerLayer(name, weight, bias, multiplier, int(constants.get(f"{name}.top", np.uint8(255))))
