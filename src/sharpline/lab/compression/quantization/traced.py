"""INT8 of networks that are no plain stacks: the traced graph with its convolutions between Q and DQ.

ONNX Runtime's tool inserts them. The ranges are ours (the same clipping), the picture's ends are fixed, weights have
7 bits, so that no CPU saturates between two products; everything but convolutions stays in float, and so do those
that have learnt nothing (the enlarged picture that a network adds to: 8 dB for SRCNN). There is no
simulation to compare it with: what it does to the calibration pictures is compared with what the floats do.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from sharpline.errors import ModelError, UsageError
from sharpline.lab.compression.quantization.config import QuantizationConfig
from sharpline.lab.compression.quantization.ranges import tensor_range
from sharpline.runtime.card import ModelCard, embed_card, read_card
from sharpline.runtime.upscaler import Upscaler

_AT_ONCE = 192  # tensors that are looked at in one run: all of a deep network would not fit in memory
_KEPT = 65536  # values of a tensor that are kept of a picture, beside its extremes
_BEHIND_RESULT = {"Transpose", "Cast", "Clip", "Round", "Mul", "Reshape", "DepthToSpace", "Identity"}
_SIDE = 96  # LR pixels of a calibration picture
_LEAST_AGREEMENT = 35.0  # dB: a network that is at 30 dB from the truth would lose more than 1
_LEARNED = "net."  # begins the names of weights that the exporter found in the network

Range = tuple[float, float]


def quantize_traced(
    model: onnx.ModelProto,
    pictures: Sequence[NDArray[np.uint8]],
    config: QuantizationConfig,
    name: str | None = None,
) -> tuple[onnx.ModelProto, ModelCard, float]:
    """INT8 model and card of any exported network, by post-training quantization.

    Args:
        model: the FP32 model with its card, from :func:`~sharpline.lab.boards.onnx_file.model_of`; not changed.
        pictures: LR pictures to calibrate on, uint8 [H, W, C].
        config: only the clipping is free: this form has 8 bits and none fewer.
        name: of the INT8 model; None keeps the card's.

    Returns:
        The model, its card, and its agreement with the floats, see :func:`agreement`.

    Raises:
        UsageError: fewer bits than 8, layers by name, no pictures.
        ModelError: the integers make other pictures than the floats.
    """
    check_traced(config)
    if not pictures:
        raise UsageError("calibration: there are no pictures to look at")
    pieces = [np.ascontiguousarray(lr[:_SIDE, :_SIDE]) for lr in pictures]
    quantized = _quantized(model, _ranges(model, pieces, config))
    card = read_card(model)
    card = card.model_copy(update={"precision": "int8", "name": name or card.name})
    embed_card(quantized, card)
    agreed = agreement(model, quantized, pieces)
    if agreed < _LEAST_AGREEMENT:
        raise ModelError(
            f"{card.name}: in INT8 it agrees with its floats to {agreed:.1f} dB on the calibration pictures, "
            f"{_LEAST_AGREEMENT:g} are the least that is shipped; try another clipping or other pictures, or leave "
            "'quantize' out"
        )
    return quantized, card, agreed


def check_traced(config: QuantizationConfig) -> None:
    """Refuse settings that this form has none of.

    Raises:
        UsageError: fewer bits than 8, layers by name, a correction of biases.
    """
    if config.weights != 8 or config.activations != 8 or config.layers or config.bias_correction:
        raise UsageError(
            "quantization: networks that are no plain stacks have an INT8 form only: "
            "leave weights, activations, layers and bias_correction out"
        )


def agreement(floats: onnx.ModelProto, integers: onnx.ModelProto, pictures: Sequence[NDArray[np.uint8]]) -> float:
    """PSNR, in dB, of what an INT8 model makes of pictures against what its float model does, both in ONNX Runtime.

    Args:
        floats: a model with its card.
        integers: likewise.
        pictures: LR, uint8 [H, W, C].
    """
    before, after = Upscaler(floats, engine="ort"), Upscaler(integers, engine="ort")
    errors = [np.square(before(lr).astype(np.float32) - after(lr)).ravel() for lr in pictures]
    mean = float(np.concatenate(errors).mean(dtype=np.float64))
    return math.inf if mean == 0 else 10 * math.log10(255**2 / mean)


def _ranges(
    model: onnx.ModelProto, pictures: Sequence[NDArray[np.uint8]], config: QuantizationConfig
) -> dict[str, Range]:
    """Where what goes in and out of each convolution saturates."""
    names = sorted({name for node in _convolutions(model)[0] for name in (node.input[0], node.output[0])})
    picture, result = _input_of(model), _result_of(model)
    found: dict[str, Range] = {}
    for first in range(0, len(names), _AT_ONCE):
        for name, values in _seen(model, names[first : first + _AT_ONCE], pictures):
            fixed = name in (picture, result)  # the ends of a picture are black and white, whatever was seen
            found[name] = (0.0, 1.0) if fixed else tensor_range(values, config.clipping, config.percentile)
    return found


def _convolutions(model: onnx.ModelProto) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """Those with learnt weights, and the others."""
    all_of_them = [node for node in model.graph.node if node.op_type == "Conv"]
    learnt = [node for node in all_of_them if node.input[1].startswith(_LEARNED)]
    return learnt, [node for node in all_of_them if node not in learnt]


def _seen(
    model: onnx.ModelProto, names: list[str], pictures: Sequence[NDArray[np.uint8]]
) -> Iterator[tuple[str, list[NDArray[np.float32]]]]:
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
    session = ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    runs = [[_sample(values) for values in session.run(names, {"lr": lr[None]})] for lr in pictures]
    for place, name in enumerate(names):
        yield name, [run[place] for run in runs]


def _sample(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Some of a tensor's values, spread evenly, and its extremes."""
    flat = values.ravel()
    return np.concatenate([flat[:: -(-len(flat) // _KEPT)], [flat.min(), flat.max()]])


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

    copied = onnx.ModelProto()
    copied.CopyFrom(model)  # the tool moves the weights out of what it is given
    overrides = {name: [{"rmin": np.float32(low), "rmax": np.float32(high)}] for name, (low, high) in ranges.items()}
    log = logging.getLogger()
    before = log.level
    log.setLevel(logging.ERROR)  # the tool advises on preprocessing, which the exporter has done
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantize_static(
                copied,
                path,
                Once(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=[node.name for node in _convolutions(model)[1]],
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"TensorQuantOverrides": overrides, "WeightSymmetric": True},
            )
            return onnx.load(path)
    finally:
        log.setLevel(before)
