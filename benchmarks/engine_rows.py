"""What the engine benchmark times: our engine by target, the libraries, and the largest INT8 rate they reach here.

Imports are inside, so that a row's process loads its own libraries and no other's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from workers import Candidate

if TYPE_CHECKING:
    from sharpline.runtime.catalog import Precision

Array = npt.NDArray[Any]
Library = Literal["ort", "openvino"]
_PACKAGES = {"ort": "onnxruntime", "openvino": "openvino"}
_ROWS, _INNER, _COLUMNS = 2048, 1024, 1024  # of the matrix product: large enough to be at its best
GEMM_OPERATIONS = 2.0 * _ROWS * _INNER * _COLUMNS


def compiled(model: str, target: str, threads: int) -> Candidate:
    """The compiled engine, one variant of it."""
    os.environ["SHARPLINE_TARGET"] = target
    from sharpline import __version__
    from sharpline.runtime.upscaler import Upscaler

    return Candidate(f"sharpline {__version__}", Upscaler(model, engine="compiled", threads=threads))


def library(model: str, engine: Library, precision: Precision, threads: int) -> Candidate:
    """The same network in a library."""
    from importlib.metadata import version

    from sharpline.runtime.upscaler import Upscaler

    package = _PACKAGES[engine]
    upscaler = Upscaler(model, engine=engine, threads=threads, precision=precision)
    return Candidate(f"{package} {version(package)}", upscaler)


def gemm(engine: Library, threads: int) -> Candidate:
    """A product of a uint8 matrix with constant int8 weights; what a library reaches in it is the ceiling."""
    from importlib.metadata import version

    from sharpline.runtime.engines import make_engine

    runner = make_engine(engine, (_integer_product() if engine == "ort" else _quantized_product()), threads)
    matrix = np.random.default_rng(0).integers(0, 256, (_ROWS, _INNER), np.uint8)
    package = _PACKAGES[engine]
    return Candidate(f"{package} {version(package)}", lambda image: runner.run(matrix))


def _weights() -> Array:
    return np.random.default_rng(1).integers(-64, 65, (_INNER, _COLUMNS)).astype(np.int8)


def _integer_product() -> bytes:
    """MatMulInteger, int32 out: the plainest that ONNX has."""
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node("MatMulInteger", ["a", "weights"], ["product"])
    return _saved([node], [numpy_helper.from_array(_weights(), "weights")], TensorProto.INT32)


def _quantized_product() -> bytes:
    """Between a pair of quantizations, uint8 out: what OpenVINO makes an INT8 product of."""
    from onnx import TensorProto, helper, numpy_helper

    values = {"one": np.float32(1), "step": np.float32(1 / 4096), "zero": np.uint8(0), "none": np.int8(0)}
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    nodes = [
        helper.make_node("DequantizeLinear", ["a", "one", "zero"], ["a_float"]),
        helper.make_node("DequantizeLinear", ["weights", "step", "none"], ["weights_float"]),
        helper.make_node("MatMul", ["a_float", "weights_float"], ["float"]),
        helper.make_node("QuantizeLinear", ["float", "one", "zero"], ["product"]),
    ]
    return _saved(nodes, [*constants, numpy_helper.from_array(_weights(), "weights")], TensorProto.UINT8)


def _saved(nodes: list[Any], constants: list[Any], kind: int) -> bytes:
    from onnx import TensorProto, helper

    matrix = helper.make_tensor_value_info("a", TensorProto.UINT8, [_ROWS, _INNER])
    product = helper.make_tensor_value_info("product", kind, [_ROWS, _COLUMNS])
    graph = helper.make_graph(nodes, "product", [matrix], [product], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data
