"""The TFLite file of a plain stack in float32, with int8 pictures at both ends."""

from __future__ import annotations

from sharpline.runtime.card import ModelCard
from sharpline.runtime.formats.stack import FloatStack
from sharpline.runtime.formats.tflite_parts import Tensor, TfliteBuilder
from sharpline.runtime.plain_stack import Layer

_ANY = (32, 32)  # the size that a file for any size is written with


def float_tflite(stack: FloatStack, size: tuple[int, int] | None = None, card: ModelCard | None = None) -> bytes:
    """Write a plain stack as TFLite for CPUs.

    Args:
        stack: the network.
        size: height and width of the pictures; without it the file takes any.
        card: the model's card.

    Returns:
        A file: ``lr`` int8 [1, H, W, colours] -> ``sr`` int8 [1, H * scale, W * scale, colours], level = value + 128.

    Example:
        >>> import numpy as np
        >>> layer = (np.zeros((12, 3, 3, 3), np.float32), np.zeros(12, np.float32))
        >>> float_tflite(FloatStack((layer,), np.zeros((12, 3, 3, 3), np.float32), 2, 3))[4:8]
        b'TFL3'
    """
    graph = TfliteBuilder()
    lr = graph.levels("lr", (1, *(size or _ANY), stack.colours))
    features = graph.from_levels(lr, "lr.float")
    for number, layer in enumerate(stack.layers):
        relu = number < len(stack.layers) - 1
        features = _convolution(graph, f"conv{number}", features, layer, relu=relu)
    bordered = graph.from_levels(graph.mirrored(lr), "lr.bordered.float")
    anchor = (stack.anchor, stack.layers[-1][1] * 0)
    enlarged = _convolution(graph, "anchor", bordered, anchor, relu=False, padded=False)
    levels = graph.to_levels(graph.sum(features, enlarged, "sum"), "levels")
    return graph.file(lr, graph.depth_to_space(levels, stack.scale), any_size=size is None, card=card)


def _convolution(
    graph: TfliteBuilder, name: str, x: Tensor, layer: Layer, *, relu: bool, padded: bool = True
) -> Tensor:
    kernel, bias = layer
    n, height, width, _ = x.shape
    shrunk = 0 if padded else kernel.shape[2] - 1
    out = graph.floats(name, (n, height - shrunk, width - shrunk, len(bias)))
    weight = graph.constant(f"{name}.weight", kernel.transpose(0, 2, 3, 1))
    return graph.convolution(x, out, weight, graph.constant(f"{name}.bias", bias), relu=relu, padded=padded)
