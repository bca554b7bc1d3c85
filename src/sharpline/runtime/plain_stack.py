"""The ONNX graph of a plain stack: convolutions with ReLU between, anchor, shuffle, uint8 in and out.

The form was chosen by measurement on ONNX Runtime and OpenVINO: the anchor, bilinear enlargement, is a
3x3 convolution outside the last one, where INT8 needs it; rounding, clipping and the cast are one
QuantizeLinear of scale 1; the shuffle moves bytes, in runs of ``scale * colours``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_OPSET = 18
_IR_VERSION = 10  # of ONNX 1.16; helper's default is newer than many installed runtimes accept

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
    graph = _Graph()
    graph.node("Cast", ["lr"], "lr_float", to=TensorProto.FLOAT)
    graph.node("Transpose", ["lr_float"], "lr_planes", perm=[0, 3, 1, 2])
    features = "lr_planes"
    for number, (kernel, bias) in enumerate(layers):
        features = graph.convolution(f"conv{number}", features, kernel, bias)
        if number < len(layers) - 1:
            graph.node("Relu", [features], f"relu{number}")
            features = f"relu{number}"
    graph.anchor("lr_planes", scale, colours)
    graph.node("Add", [features, "anchor"], "sum")
    one, zero = graph.constant("one", np.float32(1)), graph.constant("zero", np.uint8(0))
    graph.node("QuantizeLinear", ["sum", one, zero], "sum_levels")
    graph.shuffle("sum_levels", scale, colours)
    return graph.model(scale, colours)


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


class _Graph:
    """Nodes and constants under construction; a node's name is its output's name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[TensorProto] = []

    def node(self, op: str, inputs: list[str], outputs: str | list[str], **attributes: Any) -> None:
        names = [outputs] if isinstance(outputs, str) else outputs
        self._nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))

    def constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def convolution(self, name: str, features: str, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        inputs = [features, self.constant(f"{name}.weight", kernel), self.constant(f"{name}.bias", bias)]
        self._conv(inputs, name, kernel.shape[2], padding=kernel.shape[2] // 2)
        return name

    def anchor(self, planes: str, scale: int, colours: int) -> None:
        """``anchor``: bilinear enlargement, packed like the last convolution; the border is repeated."""
        across = bilinear_taps(scale)
        kernel = np.zeros((scale, scale, colours, colours, 3, 3), np.float32)
        for colour in range(colours):
            kernel[:, :, colour, colour] = across[:, None, :, None] * across[None, :, None, :]
        weight = self.constant("anchor.weight", kernel.reshape(-1, colours, 3, 3))
        border = self.constant("border", np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
        self.node("Pad", [planes, border], "bordered", mode="edge")
        self._conv(["bordered", weight], "anchor", 3, padding=0)

    def _conv(self, inputs: list[str], name: str, side: int, padding: int) -> None:
        square = {"kernel_shape": [side] * 2, "strides": [1, 1], "dilations": [1, 1], "pads": [padding] * 4}
        self.node("Conv", inputs, name, **square)

    def shuffle(self, packed: str, scale: int, colours: int) -> None:
        """[1, s*s*C, H, W] -> ``sr`` [1, H*s, W*s, C]: each block row on its own is a plain transpose."""
        sizes = self.constant("row_sizes", np.full(scale, scale * colours, np.int64))
        line = self.constant("line_shape", np.array([0, 0, 1, -1], np.int64))
        rows = [f"row{i}" for i in range(scale)]
        self.node("Split", [packed, sizes], rows, axis=1)
        for row in rows:
            self.node("Transpose", [row], f"{row}_pixels", perm=[0, 2, 3, 1])  # [1, H, W, s*C]
            self.node("Reshape", [f"{row}_pixels", line], f"{row}_line")  # [1, H, 1, W*s*C]
        self.node("Concat", [f"{row}_line" for row in rows], "lines", axis=2)
        self.node("Shape", ["lr"], "lr_shape")
        factors = self.constant("factors", np.array([1, scale, scale, 1], np.int64))
        self.node("Mul", ["lr_shape", factors], "sr_shape")
        self.node("Reshape", ["lines", "sr_shape"], "sr")

    def model(self, scale: int, colours: int) -> onnx.ModelProto:
        lr = helper.make_tensor_value_info("lr", TensorProto.UINT8, [1, "H", "W", colours])
        sr = helper.make_tensor_value_info("sr", TensorProto.UINT8, [1, "H_sr", "W_sr", colours])
        graph = helper.make_graph(self._nodes, "sharpline", [lr], [sr], self._constants)
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION, producer_name="sharpline")
        onnx.checker.check_model(model)
        return model
