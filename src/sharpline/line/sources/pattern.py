"""A test picture that moves, with its number drawn in: the same pixels on every machine."""

from __future__ import annotations

import threading
import time

import numpy as np

from sharpline.line.frame import Array
from sharpline.line.sources.camera import Shot

# 3 x 5 dots each, a row an octal digit
_DIGITS = (0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717)
_PLACES = 6
_MARGIN = 1  # dots around the number


def pattern(number: int, width: int, height: int) -> Array:
    """Picture ``number`` of the test pattern.

    Colours drift slowly, a white square moves 3 pixels a picture to the right, and the number stands at the top left,
    six digits, as large as fits a third of the width.

    Args:
        number: from 0.
        width: in pixels.
        height: in pixels.

    Returns:
        H x W x 3, RGB, uint8.

    Example:
        >>> pattern(7, 64, 48).shape, bool((pattern(7, 64, 48) == pattern(8, 64, 48)).all())
        ((48, 64, 3), False)
    """
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    planes = (x * 2 + number + 0 * y, y * 2 + 2 * number + 0 * x, x + y - number)
    image = np.stack([_wave(plane) for plane in planes], axis=2)
    side = max(2, height // 8)
    left, top = 3 * number % max(1, width - side), height // 2
    image[top : top + side, left : left + side] = 255
    label = _label(number, max(1, width // 3 // (4 * _PLACES + 2 * _MARGIN)))[:height, :width]
    image[: label.shape[0], : label.shape[1]] = label[:, :, None]
    return image


def _wave(phase: Array) -> Array:
    """A triangle between 32 and 223."""
    wave: Array = (32 + np.abs(phase % 382 - 191)).astype(np.uint8)
    return wave


def _label(number: int, dot: int) -> Array:
    digits = [_DIGITS[int(digit)] for digit in f"{number % 10**_PLACES:0{_PLACES}d}"]
    dots = np.zeros((5 + 2 * _MARGIN, 4 * _PLACES - 1 + 2 * _MARGIN), np.uint8)
    for place, bits in enumerate(digits):
        rows = [[bits >> (14 - 3 * row - column) & 1 for column in range(3)] for row in range(5)]
        left = _MARGIN + 4 * place
        dots[_MARGIN : _MARGIN + 5, left : left + 3] = np.array(rows, np.uint8) * 255
    label: Array = np.kron(dots, np.ones((dot, dot), np.uint8))
    return label


class PatternCamera:
    """A camera that shows the test pattern.

    Args:
        size: width and height.
        fps: pictures a second; None for as fast as they are taken.
        frames: how many; None for no end.
    """

    def __init__(self, size: tuple[int, int], fps: float | None, frames: int | None = None) -> None:
        self._size, self._period, self._frames = size, 1.0 / fps if fps else 0.0, frames
        self._number = 0
        self._due = 0.0
        self._interrupted = threading.Event()

    def open(self) -> None:
        """Begins to count time."""
        self._due = time.monotonic()

    def read(self) -> Shot | None:
        """The next picture when its time has come. Time that was slept over is not made up for."""
        if self._interrupted.wait(max(0.0, self._due - time.monotonic())) or self._number == self._frames:
            return None
        now = time.monotonic()
        image = pattern(self._number, *self._size)
        self._number += 1
        self._due = max(self._due, now - self._period) + self._period
        return Shot(image, now)

    def interrupt(self) -> None:
        """Ends a waiting read."""
        self._interrupted.set()

    def close(self) -> None:
        """There is nothing to let go of."""
