"""Integer networks: what a quantized plain stack is, and a numpy reference that says what it computes.

The semantics are written down in ``docs/integer.md``. This file is the judge: the simulation in training, the
exports and every engine are compared with :func:`upscale_integer`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sharpline.errors import ModelError

Border = Literal["zeros", "edge"]
_LARGEST_KERNEL = 31  # side; as far as the compiled engine looks around a pixel
PAIR_LIMIT = 128  # of two weights of one sign that a CPU without VNNI adds in 16 bits: 255 * 128 < 2^15
_PADDING: dict[Border, Literal["constant", "edge"]] = {"zeros": "constant", "edge": "edge"}


@dataclass(frozen=True)
class IntegerLayer:
    """One convolution, its requantization and its saturation (0 below, which for ``zero`` 0 is the ReLU).

    Attributes:
        name: of the layer in the network it was made from.
        weight: int8 [out, in, k, k], k odd, -127..127.
        bias: int32 [out], in units of the accumulator.
        multiplier: float32 [out], positive: output levels per unit of the accumulator.
        top: largest output level: 255, or 15 where the next layer takes 4 bits.
        zero: the output level that stands for 0; what is below it is negative.
        slope: float32 [out], by which what is below 0 is multiplied then (PReLU); None where it is not.
        spread: float32 [out], positive, where the multiplier gives what :func:`bend` (tanh) is taken of: levels that 1
            is worth then.
        border: what is around the input: zeros, or its edge repeated.
    """

    name: str
    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.float32]
    top: int = 255
    zero: int = 0
    slope: NDArray[np.float32] | None = None
    spread: NDArray[np.float32] | None = None
    border: Border = "zeros"

    @property
    def is_signed(self) -> bool:
        """Whether it is more than a ReLU."""
        return self.zero > 0 or self.slope is not None or self.spread is not None

    @property
    def bits(self) -> int:
        """Bits that a weight takes when packed: 1, 2, 4 or 8, by how many different values there are."""
        values = len(np.unique(self.weight))
        return next(bits for bits in (1, 2, 4, 8) if values <= 2**bits)


@dataclass(frozen=True)
class IntegerModel:
    """A plain stack in integers: uint8 picture in, uint8 picture out.

    The last layer has neither zero level, slope nor tanh: what leaves it is a picture.

    Attributes:
        layers: in order; the outputs of the last one are (row in block, column in block, colour).
        scale: enlargement.
        colours: 1 or 3.
        anchor: int32 [out of the last layer, 3, 3]: what each output adds of its own colour in the input picture,
            whose border is repeated, to the last accumulator; None for a network without an anchor.
    """

    layers: tuple[IntegerLayer, ...]
    scale: int
    colours: int
    anchor: NDArray[np.int32] | None = None

    @property
    def receptive_field(self) -> int:
        """Radius in LR pixels that an output pixel depends on."""
        reach = int(sum(layer.weight.shape[2] // 2 for layer in self.layers))
        return max(reach, 0 if self.anchor is None else 1)

    @property
    def is_relu_stack(self) -> bool:
        """Whether there are only ReLUs and borders of zeros: what every board's format can say."""
        return not any(layer.is_signed or layer.border == "edge" for layer in self.layers)

    @property
    def in_zeros(self) -> list[int]:
        """For each layer, the level of its input that stands for 0."""
        return [0, *(layer.zero for layer in self.layers[:-1])]


def network_digest(model: IntegerModel) -> str:
    """What identifies a network to compiled libraries: SHA-256 of all that decides its output, and of nothing else.

    The bytes: a line with a version, scale and colours; for each layer a line with shape and top, then weights, biases
    and multipliers, little endian in the order of the shape; then likewise the anchor. Layers that are more than a ReLU
    behind zeros have a line before the anchor, and their slopes or spreads. Names do not count.

    Example:
        >>> tail = IntegerLayer("tail", np.zeros((4, 1, 1, 1), np.int8), np.zeros(4, np.int32), np.ones(4, "f4"))
        >>> network_digest(IntegerModel((tail,), 2, 1))[:8]
        '11e89b10'
    """
    digest = hashlib.sha256(f"sharpline integers 1, x{model.scale}, {model.colours} colours\n".encode())
    for layer in model.layers:
        digest.update(f"layer {layer.weight.shape}, top {layer.top}\n".encode())
        for values, kind in ((layer.weight, "i1"), (layer.bias, "<i4"), (layer.multiplier, "<f4")):
            digest.update(np.ascontiguousarray(values, kind).tobytes())
        if layer.is_signed or layer.border != "zeros":
            digest.update(f"zero {layer.zero}, border {layer.border}\n".encode())
        for kind, factors in (("slope", layer.slope), ("spread", layer.spread)):
            if factors is not None:
                digest.update(f"{kind}\n".encode() + np.ascontiguousarray(factors, "<f4").tobytes())
    if model.anchor is not None:
        digest.update(f"anchor {model.anchor.shape}\n".encode() + np.ascontiguousarray(model.anchor, "<i4").tobytes())
    return digest.hexdigest()


def check_integer(model: IntegerModel, source: str = "the integer network") -> IntegerModel:
    """Refuse a model whose parts do not fit together.

    Args:
        model: the model.
        source: its name in the error message.

    Returns:
        The same model.

    Raises:
        ModelError: shapes that do not chain, values out of range, or sums that could leave int32.
    """
    channels = model.colours
    for layer in model.layers:
        outputs, inputs, height, width = layer.weight.shape
        fits = (
            inputs == channels and height == width and height % 2 == 1 and not (height == 1 and layer.border == "edge")
        )
        if not fits or layer.bias.shape != (outputs,) or layer.multiplier.shape != (outputs,):
            raise ModelError(f"{source}: layer {layer.name!r} does not fit the one before it; export the model again")
        if height > _LARGEST_KERNEL:
            raise ModelError(f"{source}: layer {layer.name!r} has kernels of side {height}; {_LARGEST_KERNEL} at most")
        if not (np.isfinite(layer.multiplier).all() and (layer.multiplier > 0).all() and 0 < layer.top < 256):
            raise ModelError(f"{source}: layer {layer.name!r} has a step that is no positive number")
        _check_activation(layer, source)
        bound = 255 * np.abs(layer.weight.astype(np.int64)).sum((1, 2, 3)) + np.abs(layer.bias.astype(np.int64))
        if bound.max(initial=0) >= 2**30:
            raise ModelError(f"{source}: layer {layer.name!r} can leave 32 bits; its bias is out of all range")
        channels = outputs
    last = model.layers[-1:]
    if any(layer.is_signed for layer in last):
        raise ModelError(f"{source}: what leaves the last layer is a picture; export the model again")
    anchored = model.anchor is None or model.anchor.shape == (channels, 3, 3)
    if not model.layers or channels != model.colours * model.scale**2 or not anchored:
        raise ModelError(f"{source}: {channels} outputs are not a x{model.scale} picture of {model.colours} colours")
    return model


def _check_activation(layer: IntegerLayer, source: str) -> None:
    factors = [values for values in (layer.slope, layer.spread) if values is not None]
    fits = all(values.shape == layer.bias.shape and np.isfinite(values).all() for values in factors)
    if not fits or len(factors) > 1:
        raise ModelError(f"{source}: layer {layer.name!r} has slopes that do not fit it; export the model again")
    if not 0 <= layer.zero < layer.top:
        raise ModelError(f"{source}: layer {layer.name!r} has no level {layer.zero} that could stand for 0")


def upscale_integer(model: IntegerModel, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Run an integer network, exactly.

    Args:
        model: the network.
        lr: uint8 [H, W, colours], any size from 1 x 1.

    Returns:
        uint8 [H * scale, W * scale, colours].

    Example:
        >>> nothing = IntegerLayer("tail", np.zeros((4, 1, 1, 1), np.int8), np.zeros(4, np.int32), np.ones(4, "f4"))
        >>> centre = np.zeros((4, 3, 3), np.int32)
        >>> centre[:, 1, 1] = 1
        >>> upscale_integer(IntegerModel((nothing,), 2, 1, centre), np.full((1, 2, 1), 7, np.uint8))[..., 0]
        array([[7, 7, 7, 7],
               [7, 7, 7, 7]], dtype=uint8)
    """
    levels, zeros, last = lr, model.in_zeros, model.layers[-1]
    for layer, zero in zip(model.layers[:-1], zeros, strict=False):
        levels = requantize(accumulate(levels, layer, zero), layer)
    total = accumulate(levels, last, zeros[-1])
    if model.anchor is not None:
        total = total + _anchored(lr, model.anchor)
    height, width, s = *lr.shape[:2], model.scale
    blocks = requantize(total, last).reshape(height, width, s, s, model.colours)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3, 4)).reshape(height * s, width * s, model.colours)


def check_picture(seed: int, height: int, width: int, colours: int) -> NDArray[np.uint8]:
    """A picture of noise: byte i is the highest of s(i + 1), where s(i + 1) = 1664525 s(i) + 1013904223 mod 2^32.

    s(0) is the seed. Compiled libraries carry the digest of its enlargement, and are checked by it where they run.

    Example:
        >>> check_picture(1, 1, 2, 3).ravel().tolist()
        [60, 94, 129, 180, 12, 94]
    """
    state, values = seed, bytearray()
    for _ in range(height * width * colours):
        state = (1664525 * state + 1013904223) % 2**32
        values.append(state >> 24)
    return np.frombuffer(bytes(values), np.uint8).reshape(height, width, colours)


def accumulate(levels: NDArray[np.uint8], layer: IntegerLayer, zero: int = 0) -> NDArray[np.int32]:
    """Bias plus convolution: uint8 [H, W, in], of which ``zero`` stands for 0 -> int32 [H, W, out]."""
    kernel = layer.weight.transpose(2, 3, 1, 0).astype(np.float64)  # sums below 2^53 are exact
    return _correlate(levels.astype(np.float64) - zero, kernel, layer.border) + layer.bias


def requantize(total: NDArray[np.int32], layer: IntegerLayer) -> NDArray[np.uint8]:
    """float32(accumulator) * multiplier in float32, to the nearest integer (ties to even), and so on."""
    values = total.astype(np.float32) * layer.multiplier
    if layer.slope is not None:
        values = np.where(values < 0, values * layer.slope, values)
    if layer.spread is not None:
        values = bend(values) * layer.spread
    return np.asarray(np.clip(np.rint(values) + layer.zero, 0, layer.top), np.uint8)


def bend(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bend numbers as tanh does, to 1e-4, by products, sums and a quotient of float32 that every machine rounds alike.

    Lambert's continued fraction to its seventh term; from 5 on it stays at 1.

    Example:
        >>> bool(np.abs(bend(np.linspace(-9, 9, 999, dtype="f4")) - np.tanh(np.linspace(-9, 9, 999))).max() < 1e-4)
        True
    """
    x = np.clip(x, np.float32(-5), np.float32(5))
    s = x * x
    above = ((s + np.float32(378)) * s + np.float32(17325)) * s + np.float32(135135)
    below = ((s * np.float32(28) + np.float32(3150)) * s + np.float32(62370)) * s + np.float32(135135)
    return np.asarray(x * above / below, np.float32)


def _anchored(lr: NDArray[np.uint8], anchor: NDArray[np.int32]) -> NDArray[np.int32]:
    colours = lr.shape[2]
    kernel = np.zeros((3, 3, colours, len(anchor)))
    for output, taps in enumerate(anchor):
        kernel[:, :, output % colours, output] = taps
    return _correlate(lr.astype(np.float64), kernel, "edge")


def _correlate(levels: NDArray[np.float64], kernel: NDArray[np.float64], border: Border) -> NDArray[np.int32]:
    """Whole numbers [H, W, in] with kernel [k, k, in, out] -> int32 [H, W, out]."""
    (height, width), radius = levels.shape[:2], len(kernel) // 2
    padded = np.pad(levels, ((radius, radius), (radius, radius), (0, 0)), _PADDING[border])
    total = np.zeros((height, width, kernel.shape[3]))
    for row in range(len(kernel)):
        for column in range(len(kernel)):
            total += padded[row : row + height, column : column + width] @ kernel[row, column]
    return total.astype(np.int32)


def is_pair_safe(layers: Sequence[IntegerLayer]) -> bool:
    """Whether no two products that a CPU without VNNI adds in 16 bits can saturate there.

    Such CPUs (AVX2, and AVX512 before VNNI) multiply bytes with ``vpmaddubsw``, which adds two neighbouring input
    channels in a signed 16-bit number that saturates. See ``docs/integer.md``.
    """
    return all(_pairs_fit(layer.weight) for layer in layers)


def _pairs_fit(weight: NDArray[np.int8]) -> bool:
    wide = weight.astype(np.int64)
    if wide.shape[1] % 2:  # pairs lie differently in every engine: any two have to fit
        return bool(np.abs(wide).max(initial=0) <= PAIR_LIMIT // 2)
    pairs = wide.reshape(len(wide), -1, 2, *wide.shape[2:])
    return bool(np.maximum(np.maximum(pairs, 0).sum(2), np.maximum(-pairs, 0).sum(2)).max(initial=0) <= PAIR_LIMIT)
