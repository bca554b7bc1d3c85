"""Facts of an ONNX file: any, not only ours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import AttributeProto, TensorProto, helper

from sharpline.errors import ModelError
from sharpline.runtime.boards.facts import Facts, Operator, Tensor, file_bytes

_OWN = ("", "ai.onnx")


def onnx_facts(path: Path) -> Facts:
    """Read an ONNX file; its weights may lie in other files, which are not opened.

    Raises:
        ModelError: it cannot be read, or is no ONNX model.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(file_bytes(path))
    except ModelError:
        raise
    except Exception as error:  # protobuf's errors have no common base
        raise ModelError(f"{path}: not an ONNX model, or a damaged one; copy or export it again") from error
    if not model.opset_import or not model.graph.output:
        raise ModelError(f"{path}: not an ONNX model, or a damaged one; copy or export it again")
    return facts_of(model)


def facts_of(model: onnx.ModelProto) -> Facts:
    """The facts of a model in memory.

    Example:
        >>> node = helper.make_node("Relu", ["x"], ["y"])
        >>> x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, "H"]) for n in "xy")
        >>> facts = facts_of(helper.make_model(helper.make_graph([node], "g", [x], [y])))
        >>> facts.inputs[0].shape, facts.operators[0].name
        ((1, None), 'Relu')
    """
    sized = _inferred(model)
    weights = {tensor.name: tensor for tensor in sized.graph.initializer}
    ends = [value for value in sized.graph.input if value.name not in weights]
    known = {value.name: _tensor(value) for value in (*ends, *sized.graph.value_info, *sized.graph.output)}
    known.update(
        (name, Tensor(name, _type(tensor.data_type), tuple(tensor.dims), constant=True))
        for name, tensor in weights.items()
    )
    operators = [_operator(node, known) for node in _nodes(sized.graph) if node.op_type != "Constant"]
    opset = max((o.version for o in sized.opset_import if o.domain in _OWN), default=None)
    return Facts(
        kind="onnx",
        operators=operators,
        inputs=[known[value.name] for value in ends],
        outputs=[known[value.name] for value in sized.graph.output],
        tensors=list(known.values()),
        weight_bytes=sum(_bytes(tensor) for tensor in weights.values()),
        opset=opset,
        graph=model,
    )


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the shapes between its ends, where they can be inferred."""
    try:
        return onnx.shape_inference.infer_shapes(model)
    except Exception:  # unknown operators, a newer opset: the rest can be judged all the same
        return model


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _operator(node: onnx.NodeProto, known: dict[str, Tensor]) -> Operator:
    name = node.op_type if node.domain in _OWN else f"{node.domain}.{node.op_type}"
    attributes = {a.name: str(_value(a)) for a in node.attribute}
    types = frozenset(known[n].type for n in (*node.input, *node.output) if n in known)
    return Operator(name, None, attributes, types)


def _value(attribute: onnx.AttributeProto) -> object:
    if attribute.type == AttributeProto.STRING:
        return attribute.s.decode("utf-8", "replace")
    return {AttributeProto.INT: attribute.i, AttributeProto.FLOAT: attribute.f}.get(attribute.type, "")


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    return Tensor(value.name, _type(kind.elem_type), shape)


def _type(number: int) -> str:
    try:
        name = str(TensorProto.DataType.Name(number))
    except ValueError:
        return f"type {number}"
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())


def _bytes(tensor: onnx.TensorProto) -> int:
    try:
        size = int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except (KeyError, ValueError):
        size = 1
    return int(math.prod(tensor.dims, start=size))
