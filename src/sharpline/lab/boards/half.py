"""What FP16 costs a network on a GPU, tried here: every tensor rounded to 16 bits, sums in 32.

A GPU keeps sums of a convolution in FP32 and stores results in FP16; fused operators round less often than this does.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sharpline.lab.boards.made import Made
from sharpline.lab.boards.onnx_formats import runner_of


def in_half(made: Made, folder: Path) -> Made:
    """An FP32 ONNX file as a board with FP16 runs it; no file is written.

    Args:
        made: the file.
        folder: that it is in.
    """
    runner = runner_of(stored_in_half(onnx.load(folder / made.file)), optimised=False)
    return replace(made, precision="fp16", runner=runner, engine=f"{made.engine}, tensors rounded to FP16")


def stored_in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with each float weight, and each result of an operator on floats, rounded to FP16.

    Example:
        >>> node = helper.make_node("Add", ["x", "w"], ["y"])
        >>> x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy")
        >>> w = numpy_helper.from_array(np.full(1, 2.0001, np.float32), "w")
        >>> half = stored_in_half(helper.make_model(helper.make_graph([node], "g", [x], [y], [w])))
        >>> [n.op_type for n in half.graph.node], float(numpy_helper.to_array(half.graph.initializer[0])[0])
        (['Add', 'Cast', 'Cast'], 2.0)
    """
    half = onnx.ModelProto()
    half.CopyFrom(model)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.value_info, *inferred.output)
    floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    for tensor in half.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            with np.errstate(over="ignore"):  # what becomes infinite here does so on the board
                rounded = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    nodes = list(half.graph.node)
    del half.graph.node[:]
    for node in nodes:
        half.graph.node.append(node)
        own = half.graph.node[-1]
        for place, name in enumerate(node.output):
            if name in floats:
                own.output[place], short = f"{name}.exact", f"{name}.half"
                half.graph.node.append(helper.make_node("Cast", [f"{name}.exact"], [short], to=TensorProto.FLOAT16))
                half.graph.node.append(helper.make_node("Cast", [short], [name], to=TensorProto.FLOAT))
    return half
