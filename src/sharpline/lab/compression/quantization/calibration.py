"""Calibration: a network looks at pictures, and what flows between its layers is noted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sharpline.errors import UsageError
from sharpline.lab.compression.quantization.stack import PlainStack, plain_stack_of
from sharpline.lab.data.decoding import cropped, read_rgb
from sharpline.lab.networks import Network
from sharpline.pixels.colour import luma
from sharpline.pixels.imresize import imresize
from sharpline.runtime.evaluation import pictures_in

_BINS = 2048
_LOOKED_AT = 3  # times as many pictures as are taken
_LARGEST_SIDE = 160  # LR pixels of a calibration picture

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Activations:
    """What comes out of a layer, by channel, in levels of the picture.

    Attributes:
        counts: int64 [C, bins], histograms after the activation, each from 0 to the channel's largest.
        largest: [C].
    """

    counts: NDArray[np.int64]
    largest: NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """What was seen.

    Attributes:
        pictures: LR pictures, uint8 [H, W, C].
        activations: of each layer, what is above 0.
        below: likewise what is below 0, its sign turned; after a ReLU that is nothing.
    """

    pictures: list[Pixels]
    activations: list[Activations]
    below: list[Activations]


def calibrate(net: Network, pictures: Sequence[Pixels]) -> Calibration:
    """Run a network on pictures and note what flows.

    Args:
        net: a plain stack.
        pictures: LR pictures, uint8 [H, W, C]; a few that differ are enough.

    Raises:
        UsageError: no pictures, or a network that has no integer form.

    Example:
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "edge", "channels": 4, "depth": 1, "scale": 2})
        >>> seen = calibrate(net, [np.zeros((8, 8, 3), np.uint8)])
        >>> [len(layer.largest) for layer in seen.activations]
        [4, 4, 12]
    """
    if not pictures:
        raise UsageError("calibration: there are no pictures to look at")
    stack = plain_stack_of(net)
    largest = [np.zeros((2, len(layer.bias))) for layer in stack.layers]
    counts = [np.zeros((2, len(layer.bias), _BINS), np.int64) for layer in stack.layers]
    for picture in pictures:
        for place, (_, values) in enumerate(features(stack, picture)):
            ends = torch.stack([values.amax(1), -values.amin(1)]).clamp_min(0).double().numpy()
            largest[place] = np.maximum(largest[place], ends)
    for picture in pictures:
        for place, (_, values) in enumerate(features(stack, picture)):
            for side, turned in enumerate((values, -values)):
                _count(counts[place][side], turned.clamp_min(0).numpy(), largest[place][side])
    above, below = (
        [Activations(count[side], most[side]) for count, most in zip(counts, largest, strict=True)] for side in (0, 1)
    )
    return Calibration(list(pictures), above, below)


@torch.no_grad()
def features(stack: PlainStack, picture: Pixels) -> Iterator[tuple[Tensor, Tensor]]:
    """What comes out of each layer before its activation, and after it, in levels of the picture: [C, pixels]."""
    x = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]
    for layer in stack.layers:
        sums = layer.convolve(x)
        x = layer.activate(sums)
        yield sums[0].flatten(1), x[0].flatten(1)


def _count(counts: NDArray[np.int64], values: NDArray[np.float32], largest: NDArray[np.float64]) -> None:
    for channel, row in enumerate(values):
        if largest[channel] > 0:
            bins = np.minimum((row * (_BINS / largest[channel])).astype(np.int64), _BINS - 1)
            counts[channel] += np.bincount(bins, minlength=_BINS)


def calibration_pictures(folder: Path, scale: int, colour: str = "rgb", *, count: int = 12) -> list[Pixels]:
    """LR pictures from a folder of HR ones: those that span the most levels, so that both ends are reached.

    Args:
        folder: HR pictures.
        scale: they are shrunk by, with MATLAB's bicubic; of large ones the middle is taken.
        colour: ``rgb``, or ``y`` for networks of luma.
        count: how many pictures.

    Returns:
        uint8 [H, W, C] each.

    Raises:
        UsageError: no folder, or no pictures in it.
        ImageError: a picture that cannot be read.
    """
    paths, pictures = pictures_in(folder), []
    for path in paths[:: max(1, len(paths) // (_LOOKED_AT * count))]:
        hr = cropped(read_rgb(path), scale, path)
        side = _LARGEST_SIDE * scale
        top, left = (max(0, (n - side) // 2) // scale * scale for n in hr.shape[:2])
        part = np.ascontiguousarray(hr[top : top + side, left : left + side])
        pictures.append(imresize(part if colour == "rgb" else luma(part), 1 / scale))
    pictures.sort(key=lambda lr: int(lr.max()) - int(lr.min()), reverse=True)
    return pictures[:count]
