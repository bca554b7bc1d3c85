"""Facts of a TFLite file, read without TensorFlow.

The fields' numbers are those of the schema:
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sharpline.errors import ModelError
from sharpline.runtime.boards.facts import Facts, Operator, Tensor, file_bytes
from sharpline.runtime.boards.flatbuffer import DamagedError, Table

_IDENTIFIER = b"TFL3"
# fmt: off
_TYPES = (
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64",
    "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16",
)
# fmt: on


def tflite_facts(path: Path) -> Facts:
    """Read a TFLite file.

    Raises:
        ModelError: it cannot be read, or is no TFLite model.
    """
    data = file_bytes(path)
    if data[4:8] != _IDENTIFIER:
        raise ModelError(f"{path}: not a TFLite model, or a damaged one; copy or convert it again")
    try:
        return _facts(Table.root(data))
    except (DamagedError, IndexError):
        raise ModelError(f"{path}: a damaged TFLite model; copy or convert it again") from None


def _facts(model: Table) -> Facts:
    codes = [_code(code) for code in model.tables(1)]
    sizes = [len(buffer.content(0)) or buffer.integer(2, "Q") for buffer in model.tables(4)]
    graphs = model.tables(2)
    if not graphs:
        raise DamagedError
    operators: list[Operator] = []
    tensors: list[Tensor] = []
    for graph in graphs:
        own = [_tensor(tensor, sizes) for tensor in graph.tables(0)]
        tensors += own
        operators += [_operator(operator, codes, own) for operator in graph.tables(3)]
    first = [_tensor(tensor, sizes) for tensor in graphs[0].tables(0)]
    return Facts(
        kind="tflite",
        operators=operators,
        inputs=[first[place] for place in graphs[0].integers(1)],
        outputs=[first[place] for place in graphs[0].integers(2)],
        tensors=tensors,
        weight_bytes=sum(sizes),
        graphs=len(graphs),
    )


def _code(code: Table) -> tuple[str, int, str]:
    """Name, version and, of a custom operator, its own name."""
    number = max(code.integer(0, "b"), code.integer(3, "i"))
    names = _operator_names()
    name = names[number] if 0 <= number < len(names) else f"operator {number}"
    return name, code.integer(2, "i", default=1), code.text(1)


@cache
def _operator_names() -> list[str]:
    return (Path(__file__).parent / "tflite_operators.txt").read_text().split()


def _operator(operator: Table, codes: list[tuple[str, int, str]], tensors: list[Tensor]) -> Operator:
    name, version, custom = codes[operator.integer(0, "I")]
    places = [place for place in (*operator.integers(1), *operator.integers(2)) if place >= 0]
    attributes = {"custom_code": custom} if custom else {}
    return Operator(name, version, attributes, frozenset(tensors[place].type for place in places))


def _tensor(tensor: Table, sizes: list[int]) -> Tensor:
    number = tensor.integer(1, "b")
    shape = tensor.integers(7) or tensor.integers(0)
    return Tensor(
        tensor.text(3),
        _TYPES[number] if 0 <= number < len(_TYPES) else f"type {number}",
        tuple(None if size < 0 else size for size in shape),
        constant=sizes[tensor.integer(2, "I")] > 0,
    )
