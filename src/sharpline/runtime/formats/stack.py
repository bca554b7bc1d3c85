"""The layers of a plain stack, read back from its FP32 ONNX graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from sharpline.errors import ModelError
from sharpline.runtime.integer import IntegerModel
from sharpline.runtime.plain_stack import Layer


@dataclass(frozen=True)
class FloatStack:
    """A plain stack in float32, for pixel values in 0..255.

    Attributes:
        layers: (kernel [out, in, k, k], bias [out]) in order, ReLU between them.
        anchor: kernel [out, colours, 3, 3] on the picture with its edge repeated.
        scale: enlargement.
        colours: 1 or 3.
    """

    layers: tuple[Layer, ...]
    anchor: NDArray[np.float32]
    scale: int
    colours: int


def float_stack(model: onnx.ModelProto, source: str = "model") -> FloatStack:
    """The layers that a graph of :func:`~sharpline.runtime.plain_stack.plain_stack` holds.

    Args:
        model: the graph.
        source: name of its file for error messages.

    Raises:
        ModelError: the graph is not of this form.

    Example:
        >>> from sharpline.runtime.plain_stack import plain_stack
        >>> layer = (np.zeros((12, 3, 3, 3), np.float32), np.zeros(12, np.float32))
        >>> float_stack(plain_stack([layer], 2, 3)).anchor.shape
        (12, 3, 3, 3)
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    names = [node.output[0] for node in model.graph.node if node.op_type == "Conv" and node.output[0] != "anchor"]
    try:
        layers = tuple((constants[f"{name}.weight"], constants[f"{name}.bias"]) for name in names)
        anchor, scale = constants["anchor.weight"], int(constants["factors"][1])
        colours = layers[0][0].shape[1]
        floats = all(part.dtype == np.float32 for layer in layers for part in layer)
        fits = anchor.shape == (scale**2 * colours, colours, 3, 3) and len(layers[-1][1]) == len(anchor)
    except (KeyError, IndexError):
        floats = fits = False
    if not (floats and fits):
        raise ModelError(
            f"{source}: is not a plain stack in FP32, the only form of float networks that this format has; "
            "take an ONNX format for it"
        )
    return FloatStack(layers, anchor, scale, colours)


def require_relus(model: IntegerModel, source: str = "the integer network") -> None:
    """Refuse integers that a format has no words for.

    Args:
        model: the integers.
        source: name of their file for error messages.

    Raises:
        ModelError: a layer ends in more than a ReLU, or repeats the picture's edge around itself.
    """
    if not model.is_relu_stack:
        raise ModelError(
            f"{source}: has layers other than a ReLU behind zeros at the border, which this format cannot say in "
            "integers; take its ONNX file or its FP32 checkpoint"
        )
