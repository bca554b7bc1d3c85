"""The ONNX file of an integer network for TensorRT 10 on Jetson Orin."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

from sharpline.errors import ModelError
from sharpline.lab.boards.made import Made, Options, SourceModel
from sharpline.lab.boards.onnx_file import write_model
from sharpline.lab.boards.onnx_formats import ort_runner
from sharpline.lab.boards.onnx_rewrites import at_opset, fixed_size
from sharpline.runtime.card import embed_card
from sharpline.runtime.formats.orin import orin_graph
from sharpline.runtime.formats.orin_rules import orin_rules

FORMAT = "onnx-int8-orin"
_NOTES = (
    "INT8 by Q/DQ with zero points 0, as TensorRT wants it: activations between layers then hold 7 bits instead of 8, "
    "worth 0.005 to 0.015 dB on photographs. The picture keeps its 8; what follows the last convolution is float.",
)


def onnx_int8_orin(model: SourceModel, folder: Path, options: Options) -> list[Made]:
    """Write the integer network as symmetric Q/DQ.

    Args:
        model: what is exported.
        folder: where to.
        options: all are looked at.

    Raises:
        ModelError: not an integer network.
    """
    if model.integer is None:
        raise ModelError(
            f"{model.source}: INT8 for TensorRT is made of an integer network; make one with sharpline compress"
        )
    graph = orin_graph(model.integer, options.ends)
    if options.size is not None:
        graph = fixed_size(graph, options.size, model.card.scale)
    graph = at_opset(graph, options.opset, model.source)
    if found := orin_rules(graph):
        raise ModelError(f"{model.source}: TensorRT would not take it in INT8: {found[0].reason}")
    path = folder / f"{model.card.name}-int8-orin.onnx"
    write_model(embed_card(graph, model.card.model_copy(update={"precision": "int8"})), path)
    engine = f"ONNX Runtime {ort.__version__}"
    return [Made(path.name, FORMAT, "int8", engine, ort_runner(path), options.size, notes=_NOTES)]
