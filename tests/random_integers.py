"""Small random integer networks, for tests of what is made of them."""

from __future__ import annotations

import numpy as np

from sharpline.runtime.integer import IntegerLayer, IntegerModel


def random_integers(
    scale: int = 2,
    colours: int = 3,
    kernels: tuple[int, ...] = (3, 3, 1),
    *,
    channels: int = 6,
    top: int = 255,
    anchored: bool = True,
    largest: int = 60,
    seed: int = 0,
) -> IntegerModel:
    """Activations that fill their range; ``largest`` weight, ``top`` level between layers."""
    rng = np.random.default_rng(seed)
    widths = [colours, *[channels] * (len(kernels) - 1), colours * scale**2]
    layers, flowing = [], 255
    for number, kernel in enumerate(kernels):
        shape = (widths[number + 1], widths[number], kernel, kernel)
        last = number == len(kernels) - 1
        weight = rng.integers(-largest, largest + 1, shape).astype(np.int8)
        bias = rng.integers(-10 * largest, 40 * largest, shape[0]).astype(np.int32)
        out = 255 if last else top
        spread = out / (flowing * largest * np.sqrt(np.prod(shape[1:])))
        multiplier = (spread * rng.uniform(0.5, 1.5, shape[0])).astype(np.float32)
        if last and anchored:
            multiplier = (1 / rng.integers(220, 400, shape[0])).astype(np.float32)
        layers.append(IntegerLayer(f"layer{number}", weight, bias, multiplier, out))
        flowing = out
    anchor = None
    if anchored:
        anchor = rng.integers(0, 12, (widths[-1], 3, 3)).astype(np.int32)
        anchor[:, 1, 1] += 160  # more than a weight holds
    return IntegerModel(tuple(layers), scale, colours, anchor)


def noise(height: int, width: int, colours: int, seed: int = 0) -> np.ndarray:
    """A picture in which everything is possible."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, colours), np.uint8)
