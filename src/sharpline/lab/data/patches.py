"""Random aligned patches with the eight flips and rotations, from one seeded generator."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sharpline.errors import UsageError
from sharpline.lab.data.cache import PictureCache

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Batch:
    """What one step learns from, in [0, 1], channels-last in memory.

    Attributes:
        lr: float32 [N, 3, P, P].
        hr: float32 [N, 3, P * scale, P * scale].
        taught: a teacher's pictures in place of ``hr``, if there is a teacher.
        scale: of this batch.
        names: files that the patches come from.
    """

    lr: Tensor
    hr: Tensor
    taught: Tensor | None
    scale: int
    names: list[str]

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        taught = None if self.taught is None else self.taught.to(device, non_blocking=True)
        lr, hr = self.lr.to(device, non_blocking=True), self.hr.to(device, non_blocking=True)
        return Batch(lr, hr, taught, self.scale, self.names)


class PatchSampler:
    """An endless source of training batches whose state can be saved and restored.

    A picture is drawn with a probability proportional to its area, then a place in it: the most detailed
    of ``candidates`` random ones. Several processes draw the same numbers and each cuts its own share of
    the patches, so a batch does not depend on how many there are.

    Args:
        caches: the pictures by scale; every batch is of one scale.
        patch: side of an LR patch in pixels.
        batch: patches in a batch, over all processes.
        seed: of the generator.
        candidates: places drawn for each patch.
        taught: the teacher's pictures, in the order of the cache's; needs a single scale.
        process: this process's number and the number of processes.
    """

    def __init__(
        self,
        caches: Mapping[int, PictureCache],
        patch: int,
        batch: int,
        seed: int,
        *,
        candidates: int = 1,
        taught: list[Pixels] | None = None,
        process: tuple[int, int] = (0, 1),
    ) -> None:
        for cache in caches.values():
            _check_sizes(cache, patch)
        rank, count = process
        if batch % count:
            raise UsageError(f"data.batch: {batch} patches cannot be shared equally by {count} processes")
        self.caches, self.patch, self.batch, self.candidates, self.taught = caches, patch, batch, candidates, taught
        self._mine = range(rank * batch // count, (rank + 1) * batch // count)
        self._odds = {scale: _areas(cache) for scale, cache in caches.items()}
        self._random = np.random.default_rng(seed)

    def next(self) -> Batch:
        """Draw a batch."""
        scales = list(self.caches)
        s = scales[int(self._random.integers(len(scales)))] if len(scales) > 1 else scales[0]
        cache, side = self.caches[s], self.patch
        chosen = self._random.choice(len(cache), self.batch, p=self._odds[s])
        turns = self._random.integers(8, size=self.batch)
        corners = self._random.random((self.batch, self.candidates, 2))
        share = range(len(self._mine))
        lr = np.empty((len(share), side, side, 3), np.uint8)
        hr = np.empty((len(share), side * s, side * s, 3), np.uint8)
        taught = None if self.taught is None else np.empty_like(hr)
        for slot, patch in zip(share, self._mine, strict=True):
            which, turn = int(chosen[patch]), int(turns[patch])
            small = cache.lr[which]
            top, left = most_detailed(small, side, corners[patch])
            big = np.s_[top * s : (top + side) * s, left * s : (left + side) * s]
            lr[slot] = turned(small[top : top + side, left : left + side], turn)
            hr[slot] = turned(cache.hr[which][big], turn)
            if taught is not None and self.taught is not None:
                taught[slot] = turned(self.taught[which][big], turn)
        names = sorted({cache.names[chosen[patch]] for patch in self._mine})
        return Batch(as_batch(lr), as_batch(hr), None if taught is None else as_batch(taught), s, names)

    def state(self) -> dict[str, Any]:
        """State of the generator, as JSON can hold it."""
        return dict(self._random.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue exactly where :meth:`state` was taken."""
        self._random.bit_generator.state = state


class Ahead:
    """Draws the next batch in a thread while the present one is learnt from.

    Args:
        sampler: where batches come from; nobody else may draw from it.
    """

    def __init__(self, sampler: PatchSampler) -> None:
        self._sampler = sampler
        self._state = sampler.state()
        self._pool = ThreadPoolExecutor(1, "patches")
        self._coming: Future[Batch] | None = None

    def next(self) -> Batch:
        """The next batch of the sampler."""
        batch = self._sampler.next() if self._coming is None else self._coming.result()
        self._state = self._sampler.state()
        self._coming = self._pool.submit(self._sampler.next)
        return batch

    def state(self) -> dict[str, Any]:
        """State of the sampler after the batches that were handed out."""
        return self._state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue exactly where :meth:`state` was taken."""
        if self._coming is not None:
            self._coming.result()
        self._coming = None
        self._sampler.restore(state)
        self._state = state

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(cancel_futures=True)


def most_detailed(picture: Pixels, side: int, corners: NDArray[np.float64]) -> tuple[int, int]:
    """Of some places for a patch, the one whose green channel changes most from pixel to pixel.

    Args:
        picture: [H, W, 3].
        side: of the patch.
        corners: [K, 2] in [0, 1): top left corners as shares of the room there is.

    Returns:
        Row and column of the best corner.
    """
    room = np.array(picture.shape[:2]) - side + 1
    places = [(int(top), int(left)) for top, left in corners * room]
    if len(places) == 1:
        return places[0]

    def detail(place: tuple[int, int]) -> float:
        top, left = place
        green = picture[top : top + side, left : left + side, 1].astype(np.int16)
        return float(np.abs(np.diff(green, axis=0)).mean() + np.abs(np.diff(green, axis=1)).mean())

    return max(places, key=detail)


def turned(patch: Pixels, turn: int) -> Pixels:
    """One of the eight symmetries of the square, by the bits of ``turn`` (0..7)."""
    if turn & 1:
        patch = patch[::-1]
    if turn & 2:
        patch = patch[:, ::-1]
    return patch.swapaxes(0, 1) if turn & 4 else patch


def as_batch(pixels: Pixels) -> Tensor:
    """uint8 [N, H, W, C] -> float32 [N, C, H, W] in [0, 1], channels-last in memory."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)


def _areas(cache: PictureCache) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.array([lr.shape[0] * lr.shape[1] for lr in cache.lr], np.float64)
    share: NDArray[np.float64] = areas / areas.sum()
    return share


def _check_sizes(cache: PictureCache, patch: int) -> None:
    for name, lr in zip(cache.names, cache.lr, strict=True):
        if min(lr.shape[:2]) < patch:
            raise UsageError(
                f"{name}: {lr.shape[1]}x{lr.shape[0]} LR pixels are fewer than the patch of {patch}; "
                "lower data.patch or remove the picture"
            )
