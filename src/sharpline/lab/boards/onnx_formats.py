"""ONNX files for boards: with the opset, the ends and the shape that a board's runtime takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from sharpline.lab.boards.made import Made, Options, Pixels, Runner, SourceModel
from sharpline.lab.boards.onnx_file import write_model
from sharpline.lab.boards.onnx_rewrites import at_opset, fixed_size, float_ends
from sharpline.runtime.card import embed_card, read_card


def onnx_fp32(model: SourceModel, folder: Path, options: Options) -> list[Made]:
    """Write the network in FP32; of an integer network its float twin, which rounds nowhere between its ends.

    Args:
        model: what is exported.
        folder: where to.
        options: its opset is asserted of the file.

    Raises:
        ModelError: an operator of the network is not in the opset.
    """
    twin = model.card.precision == "int8"
    notes = ["The float twin of an integer network: the same weights and saturation, no rounding between layers."]
    graph = model.graph
    if twin or options.ends == "float32":
        graph = float_ends(graph, model.card.scale, rounded=options.ends == "uint8")
    return [_written(graph, model, folder, options, "onnx-fp32", "fp32", notes if twin else [])]


def onnx_int8(model: SourceModel, folder: Path, options: Options) -> list[Made]:
    """Write the integer network as our own Q/DQ graph, which ONNX Runtime and OpenVINO run in integers.

    A file of ours that needs no change keeps its bytes, so that its certificate still is one.

    Raises:
        ModelError: an operator of the network is not in the opset.
    """
    return [_written(model.graph, model, folder, options, "onnx-int8", "int8", [])]


def _written(
    graph: onnx.ModelProto,
    model: SourceModel,
    folder: Path,
    options: Options,
    format: str,
    precision: Literal["fp32", "int8"],
    notes: list[str],
) -> Made:
    if options.size is not None:
        graph = fixed_size(graph, options.size, model.card.scale)
    card = model.card.model_copy(update={"precision": precision})
    if graph.opset_import[0].version != options.opset:
        graph = at_opset(graph, options.opset, model.source)
    if graph is not model.graph or read_card(graph) != card:
        graph = embed_card(_copy(graph), card)
    assert [o.version for o in graph.opset_import if not o.domain] == [options.opset]
    path = folder / f"{model.card.name}-{precision}.onnx"
    write_model(graph, path)
    runner = ort_runner(path)
    return Made(
        path.name, format, precision, f"ONNX Runtime {ort.__version__}", runner, options.size, notes=tuple(notes)
    )


def _copy(graph: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    return copy


def ort_runner(path: Path) -> Runner:
    """Runs an ONNX file in ONNX Runtime on the CPU, on one picture.

    Args:
        path: of a file with one input, uint8 or float32 [1, H, W, C].
    """
    return runner_of(onnx.load(path))


def runner_of(model: onnx.ModelProto, *, optimised: bool = True) -> Runner:
    """Runs an ONNX model in ONNX Runtime on the CPU; see :func:`ort_runner`.

    Args:
        model: the model.
        optimised: whether operators may be fused and casts left out.
    """
    options = ort.SessionOptions()
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    value = session.get_inputs()[0]
    kind = np.uint8 if value.type == "tensor(uint8)" else np.float32

    def run(lr: Pixels) -> NDArray[Any]:
        sr: NDArray[Any] = session.run(None, {value.name: lr[None].astype(kind)})[0][0]
        return sr

    return run
