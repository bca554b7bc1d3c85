"""A graph under construction, and the parts that our networks' graphs share."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_OPSET = 18
_IR_VERSION = 10  # of ONNX 1.16; helper's default is newer than many installed runtimes accept


class GraphBuilder:
    """Nodes and constants under construction; a node's name is its output's name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def node(self, op: str, inputs: list[str], outputs: str | list[str], **attributes: Any) -> str:
        """Add an operator; returns the name of its first output."""
        names = [outputs] if isinstance(outputs, str) else outputs
        self._nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))
        return names[0]

    def constant(self, name: str, value: NDArray[np.generic] | np.generic) -> str:
        """Add a constant and return its name; one that is there already stays."""
        self._constants.setdefault(name, numpy_helper.from_array(np.asarray(value), name))
        return name

    def convolve(self, inputs: list[str], name: str, side: int, padding: int) -> str:
        """Convolution of ``side`` x ``side`` taps with stride 1; returns its name."""
        square = {"kernel_shape": [side] * 2, "strides": [1, 1], "dilations": [1, 1], "pads": [padding] * 4}
        return self.node("Conv", inputs, name, **square)

    def bordered(self, planes: str) -> str:
        """``planes`` [1, C, H, W] with a border of one pixel, repeated."""
        border = self.constant("border", np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
        return self.node("Pad", [planes, border], "bordered", mode="edge")

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

    def model(self, colours: int) -> onnx.ModelProto:
        """The checked model ``lr`` uint8 [1, H, W, C] -> ``sr`` uint8 [1, H*s, W*s, C]."""
        lr = helper.make_tensor_value_info("lr", TensorProto.UINT8, [1, "H", "W", colours])
        sr = helper.make_tensor_value_info("sr", TensorProto.UINT8, [1, "H_sr", "W_sr", colours])
        graph = helper.make_graph(self._nodes, "sharpline", [lr], [sr], list(self._constants.values()))
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION, producer_name="sharpline")
        onnx.checker.check_model(model)
        return model
