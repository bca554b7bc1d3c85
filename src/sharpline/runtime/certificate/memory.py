"""Size of a model file and of what it holds in memory."""

from __future__ import annotations

import math
import zlib

import onnx

_BYTES: dict[int, int] = {  # of an element, by ONNX type
    onnx.TensorProto.FLOAT: 4,
    onnx.TensorProto.UINT8: 1,
    onnx.TensorProto.INT8: 1,
    onnx.TensorProto.INT16: 2,
    onnx.TensorProto.UINT16: 2,
    onnx.TensorProto.FLOAT16: 2,
    onnx.TensorProto.INT32: 4,
    onnx.TensorProto.INT64: 8,
    onnx.TensorProto.BOOL: 1,
}


def deflated_bytes(model: onnx.ModelProto) -> int:
    """Bytes of the file after zlib at level 9: what zeros among the weights save on the way to a device."""
    return len(zlib.compress(model.SerializeToString(), 9))


def activation_bytes(model: onnx.ModelProto, width: int, height: int) -> int:
    """Most bytes that are alive at once while a frame passes, in the order of the graph, weights left out.

    A tensor lives from the node that makes it to the last one that reads it. Engines may do better (working in
    place) or worse (layouts of their own, fused copies); it compares models, not engines.

    Args:
        model: uint8 1 x H x W x C in and out, as exported.
        width: of the LR frame.
        height: of the LR frame.

    Example:
        >>> from sharpline.runtime.catalog import open_model
        >>> small, large = (activation_bytes(open_model("edge-s-x4").graph, w, 48) for w in (64, 128))
        >>> 1.9 < large / small < 2.1
        True
    """
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    shape = sized.graph.input[0].type.tensor_type.shape.dim
    shape[0].dim_value, shape[1].dim_value, shape[2].dim_value = 1, height, width
    inferred = onnx.shape_inference.infer_shapes(sized).graph
    sizes = {v.name: _size(v) for v in (*inferred.input, *inferred.value_info, *inferred.output)}
    weights = {tensor.name for tensor in inferred.initializer}
    nodes = list(inferred.node)
    last = {name: i for i, node in enumerate(nodes) for name in node.input if name not in weights}
    last |= {v.name: len(nodes) for v in inferred.output}
    alive = {v.name: sizes.get(v.name, 0) for v in inferred.input if v.name not in weights}
    peak = 0
    for i, node in enumerate(nodes):
        alive |= {name: sizes.get(name, 0) for name in node.output}
        peak = max(peak, sum(alive.values()))
        for name in [name for name in alive if last.get(name, -1) <= i]:
            del alive[name]
    return peak


def _size(value: onnx.ValueInfoProto) -> int:
    tensor = value.type.tensor_type
    elements: int = math.prod(d.dim_value for d in tensor.shape.dim)
    return elements * _BYTES.get(tensor.elem_type, 4)
