"""Small ONNX files, written by the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def onnx_file(
    path: Path,
    nodes: list[onnx.NodeProto],
    *,
    opset: int = 13,
    kind: int = TensorProto.FLOAT,
    shape: tuple[int | str, ...] = (1, 3, 8, 8),
    constants: dict[str, np.ndarray] | None = None,
    domains: tuple[str, ...] = (),
) -> Path:
    """A model ``x`` -> ``y`` of some nodes."""
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")]
    stored = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "test", [ends[0]], [ends[1]], stored)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())
    return path


def quantized(path: Path, *, zero: int = 0, kind: type = np.int8, bias: bool = False, stored: bool = False) -> Path:
    """A convolution between Q/DQ pairs, by the book or not."""
    weight = np.ones((3, 3, 1, 1), np.float32)
    constants = {
        "s": np.float32(1),
        "z": kind(zero),
        "wz": np.int8(0),
        "w": weight.astype(np.int8) if stored else weight,
        "b": np.ones(3, np.int32),
        "bz": np.int32(0),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w" if stored else "wq", "s", "wz"], ["wf"]),
        helper.make_node("Conv", ["xf", "wf", "bf"] if bias else ["xf", "wf"], ["y"]),
    ]
    if not stored:
        nodes.insert(2, helper.make_node("QuantizeLinear", ["w", "s", "wz"], ["wq"]))
    if bias:
        nodes.insert(0, helper.make_node("DequantizeLinear", ["b", "s", "bz"], ["bf"]))
    constants = {name: np.asarray(value) for name, value in constants.items()}
    return onnx_file(path, nodes, constants=constants)
