"""INT8 of networks that are no plain stacks: the traced graph with its convolutions between Q and DQ.

ONNX Runtime's tool inserts them. The ranges are ours (the same clipping), the picture's ends are fixed, weights have
7 bits, so that no CPU saturates between two products; everything but convolutions stays in float.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from sharpline.errors import UsageError
from sharpline.lab.boards.onnx_file import model_of
from sharpline.lab.compression.quantization.config import QuantizationConfig
from sharpline.lab.compression.quantization.ranges import tensor_range
from sharpline.lab.networks import Network
from sharpline.runtime.card import ModelCard, embed_card

_AT_ONCE = 48  # tensors that are looked at in one run: all of a deep network would not fit in memory
_BEHIND_RESULT = {"Transpose", "Cast", "Clip", "Round", "Mul", "Reshape", "DepthToSpace", "Identity"}
_SIDE = 96  # LR pixels of a calibration picture

Range = tuple[float, float]


def quantize_traced(
    net: Network,
    about: dict[str, Any],
    pictures: Sequence[NDArray[np.uint8]],
    config: QuantizationConfig,
    name: str | None = None,
) -> tuple[onnx.ModelProto, ModelCard]:
    """INT8 model and card of any network, by post-training quantization.

    Args:
        net: the network in evaluation mode.
        about: ``name``, and under ``card`` what the card says beyond what the network shows.
        pictures: LR pictures to calibrate on, uint8 [H, W, C].
        config: only the clipping is free: this form has 8 bits and none fewer.
        name: the model's name instead.

    Raises:
        UsageError: fewer bits than 8, layers by name, no pictures.
        ModelError: a network that cannot be exported.
    """
    if config.weights != 8 or config.activations != 8 or config.layers:
        raise UsageError(
            f"quantization: networks of the family {net.config.family} have an INT8 form only: "
            "leave weights, activations and layers out"
        )
    if not pictures:
        raise UsageError("calibration: there are no pictures to look at")
    model, card = model_of(net, about, name)
    ranges = _ranges(model, pictures, config)
    quantized = _quantized(model, ranges)
    card = card.model_copy(update={"precision": "int8"})
    return embed_card(quantized, card), card


def _ranges(
    model: onnx.ModelProto, pictures: Sequence[NDArray[np.uint8]], config: QuantizationConfig
) -> dict[str, Range]:
    """Where what goes in and out of each convolution saturates."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    names = sorted({name for node in convolutions for name in (node.input[0], node.output[0])})
    picture, result = _input_of(model), _result_of(model)
    found: dict[str, Range] = {}
    for first in range(0, len(names), _AT_ONCE):
        for name, values in _seen(model, names[first : first + _AT_ONCE], pictures):
            fixed = name in (picture, result)  # the ends of a picture are black and white, whatever was seen
            found[name] = (0.0, 1.0) if fixed else tensor_range(values, config.clipping, config.percentile)
    return found


def _seen(
    model: onnx.ModelProto, names: list[str], pictures: Sequence[NDArray[np.uint8]]
) -> Iterator[tuple[str, list[NDArray[np.float32]]]]:
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
    session = ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    runs = [session.run(names, {"lr": np.ascontiguousarray(lr[None, :_SIDE, :_SIDE])}) for lr in pictures]
    for place, name in enumerate(names):
        yield name, [run[place] for run in runs]


def _input_of(model: onnx.ModelProto) -> str | None:
    """The tensor that is the picture, 0..1, where a convolution reads it: behind the division by 255."""
    maker = {name: node for node in model.graph.node for name in node.output}
    for convolution in (node for node in model.graph.node if node.op_type == "Conv"):
        source = maker.get(convolution.input[0])
        while source is not None and source.op_type == "Pad":
            source = maker.get(source.input[0])
        before = maker.get(source.input[0]) if source is not None and source.op_type == "Div" else None
        if before is not None and before.op_type in ("Transpose", "Cast"):
            return str(convolution.input[0])
    return None


def _result_of(model: onnx.ModelProto) -> str | None:
    """The convolution's output that is the enlarged picture, 0..1, with nothing but moves behind it.

    Its levels are then those of the picture: the rounding to them is the only one.
    """
    maker = {name: node for node in model.graph.node for name in node.output}
    name = model.graph.output[0].name
    while (node := maker.get(name)) is not None and node.op_type in _BEHIND_RESULT:
        name = node.input[0]
    return str(name) if node is not None and node.op_type == "Conv" else None


def _quantized(model: onnx.ModelProto, ranges: dict[str, Range]) -> onnx.ModelProto:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Once(CalibrationDataReader):  # type: ignore[misc]
        """The tool wants to see something, though every range is given."""

        def __init__(self) -> None:
            shape = (1, 16, 16, model.graph.input[0].type.tensor_type.shape.dim[3].dim_value)
            self.batches = iter([{"lr": np.arange(np.prod(shape)).astype(np.uint8).reshape(shape)}])

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            return next(self.batches, None)

    overrides = {name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in ranges.items()}
    log = logging.getLogger()
    before = log.level
    log.setLevel(logging.ERROR)  # the tool advises on preprocessing, which the exporter has done
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantize_static(
                model,
                path,
                Once(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"TensorQuantOverrides": overrides, "WeightSymmetric": True},
            )
            return onnx.load(path)
    finally:
        log.setLevel(before)
