"""Networks of many shapes, and compiled ones called as C calls them."""

import ctypes
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sharpline.compiler import Schedule
from sharpline.runtime.integer import IntegerLayer, IntegerModel, check_integer

Image = NDArray[np.uint8]


@dataclass
class Library:
    """A compiled network, called as C calls it."""

    path: Path

    def __post_init__(self) -> None:
        size, address = ctypes.c_int64, ctypes.c_void_p
        functions = ctypes.CDLL(str(self.path))
        self.upscale, self.scratch, told = (
            functions.sharpline_upscale,
            functions.sharpline_scratch,
            functions.sharpline_info,
        )
        told.restype = ctypes.c_char_p
        self.scratch.argtypes, self.scratch.restype = [size, size, ctypes.c_int], size
        self.upscale.argtypes = [address, size, size, size, address, size, ctypes.c_int, address, size]
        self.info = json.loads(told())

    def run(self, lr: Image, threads: int = 1, *, gap: int = 0) -> Image:
        """Upscale; ``gap`` bytes lie between the rows of the result, which nobody may write."""
        height, width, colours = lr.shape
        scale = self.info["scale"]
        row = width * scale * colours
        sr = np.full((height * scale, row + gap), 173, np.uint8)
        room = np.full(self.scratch(height, width, threads) + 64, 99, np.uint8)  # 99: what it holds does not count
        start = lr.strides[0] if height > 1 else width * colours
        addresses = (sr.ctypes.data, sr.strides[0], threads, room.ctypes.data, len(room) - 64)
        assert self.upscale(lr.ctypes.data, height, width, start, *addresses) == 0
        assert (sr[:, row:] == 173).all()
        assert (room[-64:] == 99).all()
        return sr[:, :row].reshape(height * scale, width * scale, colours)


def random_model(
    seed: int,
    scale: int,
    colours: int,
    kernels: list[int],
    widths: list[int],
    *,
    largest: int = 40,
    anchor: bool = True,
) -> IntegerModel:
    """A network of noise whose levels neither die out nor saturate everywhere."""
    rng, layers, inputs = np.random.default_rng(seed), [], colours
    outputs = [*widths, colours * scale**2]
    for number, (kernel, width) in enumerate(zip(kernels, outputs, strict=True)):
        weight = rng.integers(-largest, largest + 1, (width, inputs, kernel, kernel)).astype(np.int8)
        spread = float(np.sqrt((weight.astype(float) ** 2).sum((1, 2, 3)).max() + 1)) * 110
        bias = rng.normal(0.8 * spread, spread, width).astype(np.int32)
        multiplier = (rng.uniform(60, 120, width) / spread).astype(np.float32)
        layers.append(IntegerLayer(f"l{number}", weight, bias, multiplier, 15 if number == 1 < len(widths) else 255))
        inputs = width
    taps = rng.integers(-90, 300, (outputs[-1], 3, 3)).astype(np.int32) if anchor else None
    return check_integer(IntegerModel(tuple(layers), scale, colours, taps))


def signed_model(model: IntegerModel, kind: str, border: str, zero: int) -> IntegerModel:
    """The same with levels below 0: behind PReLU, whose slopes may be negative or above 1, or tanh."""
    rng, layers = np.random.default_rng(zero), []
    for layer in model.layers:
        around = border if layer.weight.shape[2] > 1 else "zeros"
        if layer is not model.layers[-1]:
            share, count = layer.top * zero // 255, len(layer.bias)
            layer = replace(layer, zero=share)
            if kind == "prelu":
                layer = replace(layer, slope=rng.uniform(-0.5, 1.5, count).astype(np.float32))
            else:
                spread = rng.uniform(layer.top / 5, layer.top, count).astype(np.float32)
                layer = replace(layer, spread=spread, multiplier=layer.multiplier / np.float32(80))
        layers.append(replace(layer, border=around))
    return check_integer(replace(model, layers=tuple(layers)))


def pruned_model() -> IntegerModel:
    """One-bit weights, most of which are gone; an output of nothing at all."""
    model = random_model(5, 2, 3, [3, 3], [24])
    rng, layers = np.random.default_rng(5), []
    for layer in model.layers:
        weight = np.sign(layer.weight) * (rng.random(layer.weight.shape) < 0.1)
        weight[3] = 0
        layers.append(IntegerLayer(layer.name, weight.astype(np.int8), layer.bias // 40, layer.multiplier * 40))
    return check_integer(IntegerModel(tuple(layers), 2, 3, None))


def extreme_model() -> IntegerModel:
    """Sums of 16 bits that saturate where they may, results far out of all range."""
    weight = np.full((48, 3, 3, 3), 127, np.int8)
    weight[1::3] = -127
    weight[2::3, 1] = -127
    multiplier = np.geomspace(1e-7, 1e30, 48).astype(np.float32)
    body = IntegerLayer("body", weight, np.resize([0, 800_000, -100_000], 48).astype(np.int32), multiplier)
    tail = IntegerLayer("tail", np.resize([127, 127, -127], (12, 48, 1, 1)).astype(np.int8), *body_ends())
    return check_integer(IntegerModel((body, tail), 2, 3, None))


def body_ends() -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    return np.arange(-6, 6).astype(np.int32) * 60_000, np.full(12, 1 / 3000, np.float32)


MODELS: dict[str, tuple[Callable[[], IntegerModel], Schedule | None]] = {
    "colour x2": (lambda: random_model(0, 2, 3, [3, 3, 1], [16, 24]), None),
    "grey x3, no anchor, large weights": (
        lambda: random_model(1, 3, 1, [5, 1, 3], [20, 7], largest=127, anchor=False),
        Schedule(3, 3, 1),
    ),
    "one layer x4": (lambda: random_model(2, 4, 3, [3], []), Schedule(1, 1, 3)),
    "grey x8, 7 x 7": (lambda: random_model(3, 8, 1, [7, 3], [33]), Schedule(8, 4, 2**20)),
    "points only": (lambda: random_model(4, 2, 1, [1, 1], [5], anchor=False), Schedule(5, 2, 7)),
    "pruned": (pruned_model, Schedule(4, 3, 2)),
    "extreme": (extreme_model, Schedule(6, 1, 16)),
    "PReLU x2": (lambda: signed_model(random_model(6, 2, 3, [3, 3, 1], [12, 20]), "prelu", "zeros", 80), None),
    "grey x3, PReLU, repeated edges": (
        lambda: signed_model(random_model(7, 3, 1, [5, 1, 3], [20, 7], anchor=False), "prelu", "edge", 130),
        Schedule(5, 2, 2),
    ),
    "tanh, repeated edges": (
        lambda: signed_model(random_model(8, 2, 3, [3, 3], [17], anchor=False), "tanh", "edge", 128),
        Schedule(3, 2, 1),
    ),
}
