"""The INT8 ONNX graph of an integer network, and the integer network of such a graph.

The form is QDQ, which every engine reads, with a trick or two found by measurement (``docs/integer.md``):
activations have scale 1 (a unit is a level), so that a weight's scale *is* the requantization's multiplier; the
anchor is a part of the last convolution, so that nothing is left behind it but the shuffle of bytes. To that end
the last convolution also sees patches: the pixels around each pixel of the input picture, copied by a
convolution with one 1 a channel, which engines run in integers and which brings its own border. Behind signed levels
(PReLU, tanh) they are a convolution of their own instead: two kinds of levels do not go into one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from sharpline.errors import ModelError
from sharpline.runtime.graph_parts import GraphBuilder
from sharpline.runtime.integer import Border, IntegerLayer, IntegerModel, check_integer

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
    last, joined = model.layers[-1], model.anchor is not None and _is_joined(model)
    if joined:
        features, last = _with_anchor(graph, features, last, model)
    apart = _apart(graph, model) if model.anchor is not None and not joined else None
    _to_levels(graph, _convolution(graph, features, last, apart), "sum_levels")
    graph.shuffle("sum_levels", model.scale, model.colours)
    return graph.model(model.colours)


def _is_joined(model: IntegerModel) -> bool:
    """Whether the last convolution can see features and patches at once: with levels and a border of one kind."""
    return model.in_zeros[-1] == 0 and model.layers[-1].border == "zeros"


def _hidden(graph: GraphBuilder, features: str, layer: IntegerLayer) -> str:
    name = layer.name
    active = _activation(graph, _convolution(graph, features, layer), layer)
    levels = _to_levels(graph, active, f"{name}.levels", layer)
    if layer.top < 255:
        black, top = graph.constant("zero", np.uint8(0)), graph.constant(f"{name}.top", np.uint8(layer.top))
        levels = graph.node("Clip", [levels, black, top], f"{name}.cut")
    return _from_levels(graph, levels, f"{name}.out", layer)


def _activation(graph: GraphBuilder, total: str, layer: IntegerLayer) -> str:
    if layer.spread is not None:
        spread = graph.constant(f"{layer.name}.spread", layer.spread[:, None, None])
        return graph.node(
            "Mul", [graph.node("Tanh", [total], f"{layer.name}.tanh"), spread], f"{layer.name}.levels_float"
        )
    if layer.slope is not None:
        slope = graph.constant(f"{layer.name}.slope", layer.slope[:, None, None])
        return graph.node("PRelu", [total, slope], f"{layer.name}.prelu")
    return graph.node("Relu", [total], f"{layer.name}.relu") if layer.zero == 0 else total


def _convolution(graph: GraphBuilder, features: str, layer: IntegerLayer, more: str | None = None) -> str:
    """A layer's accumulators times their multipliers; ``more`` is added to the accumulators."""
    name, radius = layer.name, layer.weight.shape[2] // 2
    if more is None and not layer.is_signed and layer.border == "zeros":
        return graph.convolve([features, *_stored(graph, layer)], name, 2 * radius + 1, padding=radius)
    # No engine takes these as one operator of integers: in floats of whole numbers the sums are exact.
    weight, bias = (_whole(graph, f"{name}.{part}", values) for part, values in _integers(layer))
    if layer.border == "edge":
        sides = graph.constant(f"{name}.border", np.array([0, 0, radius, radius] * 2, np.int64))
        features = graph.node("Pad", [features, sides], f"{name}.bordered", mode="edge")
    padding = 0 if layer.border == "edge" else radius
    total = graph.convolve([features, weight, bias], name, 2 * radius + 1, padding=padding)
    if more is not None:
        total = graph.node("Add", [total, more], f"{name}.total")
    multiplier = graph.constant(f"{name}.multiplier", layer.multiplier[:, None, None])
    return graph.node("Mul", [total, multiplier], f"{name}.scaled")


def _integers(layer: IntegerLayer) -> tuple[tuple[str, NDArray[Any]], ...]:
    return ("weight", layer.weight), ("bias", layer.bias)


def _stored(graph: GraphBuilder, layer: IntegerLayer) -> Iterator[str]:
    """Weight and bias of a layer, each worth the multiplier of its output."""
    step = graph.constant(f"{layer.name}.multiplier", layer.multiplier)
    for part, values in _integers(layer):
        name = f"{layer.name}.{part}"
        zero = graph.constant(f"{name}_zero", np.zeros(len(layer.bias), values.dtype))
        yield graph.node("DequantizeLinear", [graph.constant(name, values), step, zero], f"{name}_float", axis=0)


def _whole(graph: GraphBuilder, name: str, values: NDArray[Any]) -> str:
    """Integers as floats, a unit being 1."""
    one = graph.constant("one", np.float32(1))
    return graph.node("DequantizeLinear", [graph.constant(name, values), one], f"{name}_float")


def _to_levels(graph: GraphBuilder, values: str, name: str, layer: IntegerLayer | None = None) -> str:
    return graph.node("QuantizeLinear", [values, *_unit(graph, layer)], name)


def _from_levels(graph: GraphBuilder, levels: str, name: str, layer: IntegerLayer | None = None) -> str:
    return graph.node("DequantizeLinear", [levels, *_unit(graph, layer)], name)


def _unit(graph: GraphBuilder, layer: IntegerLayer | None) -> list[str]:
    one, signed = graph.constant("one", np.float32(1)), layer is not None and layer.zero > 0
    if layer is None or not signed:
        return [one, graph.constant("zero", np.uint8(0))]
    return [one, graph.constant(f"{layer.name}.zero", np.uint8(layer.zero))]


def _apart(graph: GraphBuilder, model: IntegerModel) -> str:
    """The anchor as a convolution of its own, of the bordered picture."""
    assert model.anchor is not None
    dense = np.zeros((len(model.anchor), model.colours, 3, 3), np.int32)
    for output, taps in enumerate(model.anchor):
        dense[output, output % model.colours] = taps
    picture = _from_levels(graph, graph.bordered("lr_planes"), "bordered_float")
    return graph.convolve([picture, _whole(graph, "anchor.weight", dense)], "anchor", 3, padding=0)


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
    return joined, replace(last, weight=weight_all)


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
    convolutions = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    names = [name for name in convolutions if name not in ("patches", "anchor")]
    try:
        layers = [_layer(constants, name) for name in names]
        scale = int(constants["factors"][1])
        colours, copies = layers[0].weight.shape[1], constants.get("patches.weight")
        anchor = None
        if "anchor.weight" in constants:
            outputs = np.arange(len(constants["anchor.weight"]))
            anchor = constants["anchor.weight"][outputs, outputs % colours].astype(np.int32)
        elif copies is not None:
            last = layers[-1]
            features, middle = last.weight.shape[1] - len(copies), last.weight.shape[2] // 2
            taps = last.weight[:, features:, middle, middle].astype(np.int32)
            # An output's own colour is the only one that it has taps for.
            anchor = np.einsum("op,pcij->oij", taps, copies.astype(np.int32)).astype(np.int32)
            weight = np.ascontiguousarray(last.weight[:, :features])
            layers[-1] = replace(last, weight=weight)
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(
            f"{source}: is not an integer network of Sharpline's form; export it with sharpline"
        ) from error
    return check_integer(IntegerModel(tuple(layers), scale, colours, anchor), source)


def _layer(constants: dict[str, NDArray[Any]], name: str) -> IntegerLayer:
    parts = [constants[f"{name}.{part}"] for part in ("weight", "bias", "multiplier")]
    if [part.dtype.name for part in parts] != ["int8", "int32", "float32"] or parts[0].ndim != 4:
        raise ValueError(name)
    weight, bias, multiplier = parts[0], parts[1], parts[2].ravel()
    top, zero = (int(constants.get(f"{name}.{level}", np.uint8(usual))) for level, usual in (("top", 255), ("zero", 0)))
    slope, spread = (
        constants[f"{name}.{kind}"][:, 0, 0] if f"{name}.{kind}" in constants else None for kind in ("slope", "spread")
    )
    border: Border = "edge" if f"{name}.border" in constants else "zeros"
    return IntegerLayer(name, weight, bias, multiplier, top, zero, slope, spread, border)
