"""The TFLite file of an integer network: full integer, int8 pictures at both ends.

TFLite computes ``(level - zero) * weight`` in int32 and requantizes by step_in * step_weight / step_out: with steps 1
for levels, a weight's step *is* our multiplier, as in the ONNX file. Level 0 is -128, so that the cut to 0..255 is
int8's own range; where fewer levels are wanted, 0 lies higher and 127 is the largest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sharpline.errors import ModelError, UsageError
from sharpline.runtime.card import ModelCard
from sharpline.runtime.formats.stack import require_relus
from sharpline.runtime.formats.tflite_parts import BLACK, Tensor, TfliteBuilder
from sharpline.runtime.integer import IntegerLayer, IntegerModel, check_integer

Size = tuple[int, int]
Device = Literal["edgetpu", "cpu"]
MOST_PARAMETERS = int(6.8 * 2**20)  # bytes: what the Edge TPU keeps on its chip
_ANY = (32, 32)  # the size that a file for any size is written with
_LARGEST = 127  # of a weight
_SAFE = 2**30  # no sum reaches it


def integer_tflite(
    model: IntegerModel, device: Device = "cpu", size: Size | None = None, card: ModelCard | None = None
) -> bytes:
    """Write an integer network as TFLite.

    Args:
        model: the network.
        device: ``edgetpu`` keeps to the operators that run there; ``cpu`` takes what is fastest in LiteRT.
        size: height and width of the pictures; ``cpu`` may do without, and then takes any.
        card: the model's card.

    Returns:
        A file: ``lr`` int8 [1, H, W, colours] -> ``sr`` int8 [1, H * scale, W * scale, colours], level = value + 128.

    Raises:
        ModelError: parts that do not fit together, or more weights than the Edge TPU holds.
        UsageError: the Edge TPU needs a size.

    Example:
        >>> tail = IntegerLayer("tail", np.zeros((12, 3, 1, 1), np.int8), np.zeros(12, np.int32), np.ones(12, "f4"))
        >>> integer_tflite(IntegerModel((tail,), 2, 3), "edgetpu", (8, 8))[4:8]
        b'TFL3'
    """
    require_relus(check_integer(model))
    on_chip = device == "edgetpu"
    if on_chip and size is None:
        raise UsageError("the Edge TPU takes pictures of one size: give height and width")
    graph = TfliteBuilder()
    lr = graph.levels("lr", (1, *(size or _ANY), model.colours))
    features = lr
    for layer in model.layers[:-1]:
        features = _convolution(graph, features, layer, relu=True)
    last = model.layers[-1]
    if model.anchor is None:
        packed = _convolution(graph, features, last, relu=False)
    else:
        packed = _anchored(graph, lr, features, model, model.anchor, on_chip=on_chip)
    shuffle = graph.one_hot_shuffle if on_chip else graph.depth_to_space
    sr = shuffle(packed, model.scale)
    parameters = graph.parameter_bytes
    if on_chip and parameters > MOST_PARAMETERS:
        raise ModelError(
            f"the network has {parameters / 2**20:.1f} MiB of parameters, the Edge TPU holds "
            f"{MOST_PARAMETERS / 2**20:.1f}; make it narrower (sharpline compress)"
        )
    return graph.file(lr, sr, any_size=size is None, card=card)


def _convolution(graph: TfliteBuilder, x: Tensor, layer: IntegerLayer, *, relu: bool, padded: bool = True) -> Tensor:
    n, height, width, _ = x.shape
    shrunk = 0 if padded else layer.weight.shape[2] - 1
    shape = (n, height - shrunk, width - shrunk, len(layer.bias))
    out = graph.levels(layer.name, shape, _LARGEST - layer.top)
    layer = _stretched(layer)
    weight = graph.constant(f"{layer.name}.weight", layer.weight.transpose(0, 2, 3, 1), layer.multiplier)
    bias = graph.constant(f"{layer.name}.bias", layer.bias, layer.multiplier)
    return graph.convolution(x, out, weight, bias, relu=relu, padded=padded)


def _stretched(layer: IntegerLayer) -> IntegerLayer:
    """The same layer in a finer unit of the accumulator: each output's weights times the power of 2 that fits a byte.

    In float arithmetic, XNNPACK's, nothing changes, not a bit. Kernels that requantize with integers round twice,
    first to units of the accumulator: the finer these are, the seldomer are they wrong. Weights of few bits need it.
    """
    outputs = len(layer.bias)
    wide = np.abs(layer.weight.astype(np.int64)).reshape(outputs, -1)
    bound = 255 * wide.sum(1) + np.abs(layer.bias.astype(np.int64))
    room = np.minimum(_LARGEST // wide.max(1).clip(1), _SAFE // bound.clip(1))
    factor = 2 ** np.floor(np.log2(room.clip(1))).astype(np.int64)
    weight = (layer.weight * factor[:, None, None, None]).astype(np.int8)
    multiplier = layer.multiplier / factor.astype(np.float32)
    return replace(layer, weight=weight, bias=(layer.bias * factor).astype(np.int32), multiplier=multiplier)


def _anchored(
    graph: TfliteBuilder, lr: Tensor, features: Tensor, model: IntegerModel, anchor: NDArray[np.int32], *, on_chip: bool
) -> Tensor:
    """The last convolution, which sees the picture beside the features, so that one rounding makes the output.

    A 3x3 one sees the picture itself, with a border of its own; a 1x1 one sees patches: the 3x3 pixels around each.
    """
    last = model.layers[-1]
    features = graph.moved(features, BLACK)
    border = max(1, last.weight.shape[2] // 2)
    bordered = (graph.repeated if on_chip else graph.mirrored)(lr, border)
    kernels = _kernels(anchor, model.colours)
    if last.weight.shape[2] == 1:
        patches, kernels = _patches(kernels, model.colours)
        beside = [_convolution(graph, bordered, patches, relu=False, padded=False)]
    else:
        beside = [bordered] * (kernels.shape[1] // model.colours)
        features = graph.zero_padded(features, border)
    joined = graph.concatenation([features, *beside], 3, "joined")
    inset = (last.weight.shape[2] - kernels.shape[2]) // 2
    kernels = np.pad(kernels, ((0, 0), (0, 0), (inset, inset), (inset, inset)))
    whole = replace(last, weight=np.concatenate([last.weight, kernels], axis=1).astype(np.int8))
    return _convolution(graph, joined, whole, relu=False, padded=last.weight.shape[2] == 1)


def _kernels(anchor: NDArray[np.int32], colours: int) -> NDArray[np.int32]:
    """The anchor as a kernel on as many copies of the picture as its weights need: [out, copies * colours, 3, 3]."""
    own, left = np.arange(len(anchor)) % colours, anchor.copy()
    copies: list[NDArray[np.int32]] = []
    while left.any() or not copies:
        kernel = np.zeros((len(anchor), colours, 3, 3), np.int32)
        kernel[np.arange(len(anchor)), own] = share = left.clip(-_LARGEST, _LARGEST)
        copies.append(kernel)
        left -= share
    return np.concatenate(copies, axis=1)


def _patches(kernels: NDArray[np.int32], colours: int) -> tuple[IntegerLayer, NDArray[np.int32]]:
    """The convolution that copies the pixels around each pixel into channels, and what these weigh: [out, P, 1, 1]."""
    used = [tuple(int(n) for n in place) for place in np.argwhere(kernels.any(0))]
    width = max(4, -(-len(used) // 4) * 4)
    copies = np.zeros((width, colours, 3, 3), np.int8)
    weights = np.zeros((len(kernels), width, 1, 1), np.int32)
    for number, (channel, row, column) in enumerate(used):
        copies[number, channel % colours, row, column] = 1
        weights[:, number, 0, 0] = kernels[:, channel, row, column]
    layer = IntegerLayer("patches", copies, np.zeros(width, np.int32), np.ones(width, np.float32))
    return layer, weights
