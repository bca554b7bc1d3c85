"""Small TFLite files, written through the schema that comes with LiteRT."""

from __future__ import annotations

from pathlib import Path

import pytest

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="pip install ai-edge-litert")
import flatbuffers  # noqa: E402


def tflite_file(
    path: Path,
    operators: list[tuple[str, int]],
    *,
    kind: str = "INT8",
    shape: tuple[int, ...] = (1, 8, 8, 4),
    signature: tuple[int, ...] | None = None,
    weights: int = 0,
    custom: str | None = None,
    between: str | None = None,
    graphs: int = 1,
) -> Path:
    """A chain of operators (name, version), each from one tensor to the next.

    Args:
        path: the file.
        operators: in order.
        kind: type of the ends.
        shape: of every tensor.
        signature: shape with -1 for sizes that are open.
        weights: bytes of a constant.
        custom: name of custom operators.
        between: type of the tensors between, as the ends by default.
        graphs: how many times the graph is there.
    """
    buffers = [schema.BufferT()]
    tensors = []
    for number in range(len(operators) + 1):
        tensor = schema.TensorT()
        tensor.name, tensor.shape = f"t{number}", list(shape)
        inner = 0 < number < len(operators)
        tensor.type = getattr(schema.TensorType, (between or kind) if inner else kind)
        tensor.shapeSignature = list(signature) if signature else None
        tensors.append(tensor)
    if weights:
        held = schema.BufferT()
        held.data = bytes(weights)
        buffers.append(held)
        constant = schema.TensorT()
        constant.name, constant.shape, constant.type, constant.buffer = "w", [weights], schema.TensorType.INT8, 1
        tensors.append(constant)
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [len(operators)], []
    codes = []
    for number, (name, version) in enumerate(operators):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        code.customCode = custom if name == "CUSTOM" else None
        codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = number, [number], [number + 1]
        graph.operators.append(operator)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, codes, [graph] * graphs, buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
