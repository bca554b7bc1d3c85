"""Random aligned patches with the eight flips and rotations, from one seeded generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sharpline.errors import UsageError
from sharpline.lab.data.cache import PictureCache


class PatchSampler:
    """An endless source of training batches whose state can be saved and restored.

    A picture is drawn with a probability proportional to its area, so that every pixel is equally likely.

    Args:
        cache: the pictures.
        scale: HR / LR.
        patch: side of an LR patch in pixels.
        batch: patches in a batch.
        seed: of the generator.
    """

    def __init__(self, cache: PictureCache, scale: int, patch: int, batch: int, seed: int) -> None:
        for name, lr in zip(cache.names, cache.lr, strict=True):
            if min(lr.shape[:2]) < patch:
                raise UsageError(
                    f"{name}: {lr.shape[1]}x{lr.shape[0]} LR pixels are fewer than the patch of {patch}; "
                    "lower data.patch or remove the picture"
                )
        self.cache, self.scale, self.patch, self.batch = cache, scale, patch, batch
        areas = np.array([lr.shape[0] * lr.shape[1] for lr in cache.lr], np.float64)
        self._odds = areas / areas.sum()
        self._random = np.random.default_rng(seed)

    def next(self) -> tuple[Tensor, Tensor]:
        """Draw a batch: ``lr`` [N, 3, patch, patch] and ``hr`` [N, 3, patch*scale, patch*scale], in [0, 1]."""
        side, s = self.patch, self.scale
        lr = np.empty((self.batch, side, side, 3), np.uint8)
        hr = np.empty((self.batch, side * s, side * s, 3), np.uint8)
        for slot, which in enumerate(self._random.choice(len(self.cache), self.batch, p=self._odds)):
            source = self.cache.lr[which]
            top, left = (int(self._random.integers(n - side + 1)) for n in source.shape[:2])
            turn = int(self._random.integers(8))
            lr[slot] = turned(source[top : top + side, left : left + side], turn)
            big = self.cache.hr[which][top * s : (top + side) * s, left * s : (left + side) * s]
            hr[slot] = turned(big, turn)
        return as_batch(lr), as_batch(hr)

    def state(self) -> dict[str, Any]:
        """State of the generator, as JSON can hold it."""
        return dict(self._random.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue exactly where :meth:`state` was taken."""
        self._random.bit_generator.state = state


def turned(patch: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """One of the eight symmetries of the square, by the bits of ``turn`` (0..7)."""
    if turn & 1:
        patch = patch[::-1]
    if turn & 2:
        patch = patch[:, ::-1]
    return patch.swapaxes(0, 1) if turn & 4 else patch


def as_batch(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 [N, H, W, C] -> float32 [N, C, H, W] in [0, 1], channels-last in memory."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
