"""Opening an ONNX file with suspicion: it may be garbage, truncated, foreign or point at other files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx

from sharpline.errors import AbsentModelError, ModelError
from sharpline.runtime.card import ModelCard


def _tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    """Every tensor in the nodes' attributes, their subgraphs included."""
    for node in nodes:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors(graph.node)


def _refuse_external_data(model: onnx.ModelProto, path: Path) -> None:
    tensors = [*_graph_tensors(model.graph)]
    for function in model.functions:
        tensors += _tensors(function.node)
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in tensors):
        raise ModelError(f"{path}: the weights are in another file; save the model as one .onnx file")


def load_model(path: Path) -> onnx.ModelProto:
    """Reads a model file. Nothing in it is executed or unpickled, and no other file is opened.

    Args:
        path: The ``.onnx`` file.

    Returns:
        The checked ONNX model.

    Raises:
        ModelError: The file is missing, unreadable, of another kind, damaged, or keeps weights in other files.

    Example:
        >>> load_model(Path("weights.pth"))
        Traceback (most recent call last):
        sharpline.errors.ModelError: weights.pth: not an .onnx file; export the model to ONNX first
    """
    if path.suffix.lower() != ".onnx":
        raise ModelError(f"{path}: not an .onnx file; export the model to ONNX first")
    try:
        data = path.read_bytes()
    except OSError as error:
        kind = AbsentModelError if isinstance(error, FileNotFoundError) else ModelError
        raise kind(f"{path}: cannot read the model file ({error.strerror})") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
        _refuse_external_data(model, path)
        onnx.checker.check_model(model)
    except ModelError:
        raise
    except Exception as error:  # protobuf and the checker have no common base
        raise ModelError(f"{path}: not an ONNX model, or a damaged one; copy or export it again") from error
    return model


def check_io(model: onnx.ModelProto, card: ModelCard, source: str) -> None:
    """Checks that inputs and outputs are as the convention has them: uint8 1 x H x W x C, C as the card says.

    Raises:
        ModelError: They are not; the message says which one.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise ModelError(f"{source}: a model has one input and one output; this one has {len(inputs)} and "
                         f"{len(model.graph.output)}")  # fmt: skip
    for role, value in (("input", inputs[0]), ("output", model.graph.output[0])):
        tensor = value.type.tensor_type
        dims = [dim.dim_value for dim in tensor.shape.dim]
        if tensor.elem_type != onnx.TensorProto.UINT8 or len(dims) != 4 or dims[3] not in (0, card.channels):
            raise ModelError(
                f"{source}: the {role} '{value.name}' has to be uint8, 1 x H x W x {card.channels} "
                f"(colour '{card.colour}'); export the model with sharpline"
            )
        if role == "input" and (dims[1] or dims[2]):
            raise ModelError(f"{source}: height and width of the input are fixed; export them as dynamic")
