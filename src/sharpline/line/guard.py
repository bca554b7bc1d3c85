"""Looks at what comes from a camera and at what was made of it, so that no frame is passed off as what it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sharpline.line.frame import Frame

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]

BLOCK = 8
KINDS = ("consistency", "black", "plain", "frozen", "age")
_GRID = 8  # every so many pixels are looked at for black and plain pictures
_BLACK, _PLAIN = 8, 2  # levels of 255: nothing is brighter; nothing differs by more


def consistency_map(lr: Array, sr: Array) -> Float32:
    """How far an enlarged picture, shrunk again, is from the one it was made from: by blocks of 8 x 8 pixels.

    Each camera pixel is compared with the mean of the pixels that were made of it (a box filter), the absolute
    differences are averaged over the block and its channels. A network that invents things the camera did not see
    shows up here; sharper edges alone hardly do.

    Args:
        lr: H x W x C, uint8 or uint16.
        sr: H*s x W*s x C of the same dtype, s = 1..16.

    Returns:
        ceil(H/8) x ceil(W/8), levels of 255.

    Example:
        >>> lr = np.full((16, 8, 1), 100, np.uint8)
        >>> sr = lr.repeat(4, 0).repeat(4, 1)
        >>> sr[:32] += 5
        >>> consistency_map(lr, sr).ravel().tolist()
        [5.0, 0.0]
    """
    height, width, channels = lr.shape
    s = sr.shape[0] // height
    total = _cell_sums(sr, s)
    error = np.abs(total - lr.astype(np.int32) * (s * s)).sum(axis=2, dtype=np.int64)
    ys, xs = np.arange(0, height, BLOCK), np.arange(0, width, BLOCK)
    sums = np.add.reduceat(np.add.reduceat(error, ys, axis=0), xs, axis=1)
    pixels = np.outer(np.minimum(BLOCK, height - ys), np.minimum(BLOCK, width - xs))
    levels = 1 if lr.dtype == np.uint8 else 257
    blocks: Float32 = (sums / (pixels * (channels * s * s * levels))).astype(np.float32)
    return blocks


def _cell_sums(sr: Array, s: int) -> npt.NDArray[np.int32]:
    """Sums over the s x s pixels of each camera pixel; row after row, several times faster than over two axes."""
    rows = sr[::s].astype(np.uint16 if sr.dtype == np.uint8 else np.uint32)  # 16 rows of 255 fit
    for offset in range(1, s):
        np.add(rows, sr[offset::s], out=rows)
    cells = rows.reshape(rows.shape[0], -1, s, sr.shape[2])
    total = cells[:, :, 0].astype(np.int32)
    for offset in range(1, s):
        np.add(total, cells[:, :, offset], out=total, casting="unsafe")
    return total


class GuardSettings(Protocol):
    """What is out of bounds; ``GuardConfig`` of a line's configuration has this shape."""

    @property
    def consistency(self) -> float:
        """Levels of 255 that the worst block may differ by."""

    @property
    def every(self) -> int:
        """Every so many frames of a camera are measured."""

    @property
    def frozen(self) -> float | None:
        """Seconds of identical frames that are alarming, None for never."""

    @property
    def age(self) -> float:
        """Seconds after its capture from which a result is not live any more."""


@dataclass
class _Seen:
    """What is remembered of one camera."""

    image: Array
    since: float
    count: int = 0


class Guard:
    """Checks the frames of several cameras, one thread.

    Args:
        settings: What is out of bounds.
        live: Whether results age.
    """

    def __init__(self, settings: GuardSettings, *, live: bool) -> None:
        self._settings, self._live = settings, live
        self._seen: dict[str, _Seen] = {}

    def check(self, frame: Frame, sr: Array, now: float) -> tuple[float | None, Mapping[str, str]]:
        """Looks at a frame and at what was made of it.

        Args:
            frame: The camera's frame.
            sr: The enlarged one, or the frame's own pixels.
            now: :func:`time.monotonic`.

        Returns:
            The consistency error if this frame was measured (never of the frame's own pixels: there is nothing to
            compare), and a sentence by kind for what is wrong.
        """
        seen = self._remember(frame)
        found = self._of_camera(frame, seen)
        if self._live and now - frame.clock > self._settings.age:
            found["age"] = f"{now - frame.clock:.1f} s old when it was done: too late to be live"
        error = None
        if seen.count % self._settings.every == 0 and sr is not frame.image:
            error = float(consistency_map(frame.image, sr).max())
            if error > self._settings.consistency:
                limit = self._settings.consistency
                found["consistency"] = f"differs from the camera's frame by {error:.1f} levels, limit {limit:g}"
        seen.count += 1
        return error, found

    def _remember(self, frame: Frame) -> _Seen:
        seen = self._seen.get(frame.source)
        if seen is None:
            seen = self._seen[frame.source] = _Seen(frame.image, frame.clock)
        elif self._settings.frozen is not None and not np.array_equal(seen.image, frame.image):
            seen.image, seen.since = frame.image, frame.clock
        return seen

    def _of_camera(self, frame: Frame, seen: _Seen) -> dict[str, str]:
        levels = 1 if frame.image.dtype == np.uint8 else 257
        sample = frame.image[::_GRID, ::_GRID]
        found = {}
        if sample.max() <= _BLACK * levels:
            found["black"] = "the picture is black"
        elif int((sample.max(axis=(0, 1)) - sample.min(axis=(0, 1))).max()) <= _PLAIN * levels:
            found["plain"] = "the picture is of one colour"
        still = frame.clock - seen.since
        if self._settings.frozen is not None and still > self._settings.frozen:
            found["frozen"] = f"the same picture for {still:.0f} s"
        return found
