"""The ONNX graph of a plain stack: convolutions with ReLU between, anchor, shuffle, uint8 in and out.

The form was chosen by measurement on ONNX Runtime and OpenVINO: the anchor, bilinear enlargement, is a
3x3 convolution outside the last one, where INT8 needs it; rounding, clipping and the cast are one
QuantizeLinear of scale 1; the shuffle moves bytes, in runs of ``scale * colours``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from sharpline.runtime.graph_parts import GraphBuilder

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


def plain_stack(layers: Sequence[Layer], scale: int, colours: int) -> onnx.ModelProto:
    """Build the graph.

    Args:
        layers: (kernel [out, in, k, k] with odd k, bias [out]), float32, for pixel values in 0..255. The
            last one has ``scale * scale * colours`` outputs ordered (row in block, column in block, colour).
        scale: enlargement.
        colours: 1 or 3.

    Returns:
        A checked model: ``lr`` uint8 [1, H, W, colours] -> ``sr`` uint8 [1, H*scale, W*scale, colours].

    Example:
        >>> import numpy as np
        >>> bilinear = plain_stack([(np.zeros((12, 3, 3, 3), np.float32), np.zeros(12, np.float32))], 2, 3)
        >>> [i.name for i in bilinear.graph.input]
        ['lr']
    """
    graph = GraphBuilder()
    graph.node("Cast", ["lr"], "lr_float", to=TensorProto.FLOAT)
    graph.node("Transpose", ["lr_float"], "lr_planes", perm=[0, 3, 1, 2])
    features = "lr_planes"
    for number, (kernel, bias) in enumerate(layers):
        features = _convolution(graph, f"conv{number}", features, kernel, bias)
        if number < len(layers) - 1:
            graph.node("Relu", [features], f"relu{number}")
            features = f"relu{number}"
    _anchor(graph, "lr_planes", scale, colours)
    graph.node("Add", [features, "anchor"], "sum")
    one, zero = graph.constant("one", np.float32(1)), graph.constant("zero", np.uint8(0))
    graph.node("QuantizeLinear", ["sum", one, zero], "sum_levels")
    graph.shuffle("sum_levels", scale, colours)
    return graph.model(colours)


def bilinear_taps(scale: int) -> NDArray[np.float32]:
    """Weights of the pixels before, at and after, for each of the ``scale`` phases between two pixels.

    Example:
        >>> bilinear_taps(2)
        array([[0.25, 0.75, 0.  ],
               [0.  , 0.75, 0.25]], dtype=float32)
    """
    offset = (np.arange(scale) + 0.5) / scale - 0.5  # of the output pixel's centre from the input pixel's
    taps = np.stack([np.maximum(-offset, 0), 1 - np.abs(offset), np.maximum(offset, 0)], axis=1)
    return taps.astype(np.float32)


def _convolution(
    graph: GraphBuilder, name: str, features: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]
) -> str:
    inputs = [features, graph.constant(f"{name}.weight", kernel), graph.constant(f"{name}.bias", bias)]
    return graph.convolve(inputs, name, kernel.shape[2], padding=kernel.shape[2] // 2)


def _anchor(graph: GraphBuilder, planes: str, scale: int, colours: int) -> None:
    """``anchor``: bilinear enlargement, packed like the last convolution; the border is repeated."""
    across = bilinear_taps(scale)
    kernel = np.zeros((scale, scale, colours, colours, 3, 3), np.float32)
    for colour in range(colours):
        kernel[:, :, colour, colour] = across[:, None, :, None] * across[None, :, None, :]
    weight = graph.constant("anchor.weight", kernel.reshape(-1, colours, 3, 3))
    graph.convolve([graph.bordered(planes), weight], "anchor", 3, padding=0)
