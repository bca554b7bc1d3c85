"""A production line that needs no camera: parts on a belt, seen by a cheap one."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from sharpline.line.belt import belt
from sharpline.line.sources.camera import Shot
from sharpline.line.sources.machine import Machine, Patience

Array = npt.NDArray[Any]
_FINE = 2  # the belt has this many pixels for one of the camera, so that it moves by halves
_LENGTH = 6  # pictures on a belt before it comes round
_SPEED = 0.18  # pictures a second
_BLUR = 0.9  # of the lens: standard deviation in camera pixels
_NOISE = 2.5  # of the sensor: standard deviation in levels
_NOISES = 16  # fields of noise that are drawn once and shifted about: drawing them anew would cost more than the rest


class Scene:
    """What the camera looks at, and how it sees it. Picture ``n`` depends on the arguments and ``n`` alone.

    Args:
        width: Of the picture in pixels.
        height: Of the picture.
        fps: Pictures a second.
        seed: Of the parts and of the noise.

    Example:
        >>> scene = Scene(64, 48, fps=15, seed=3)
        >>> scene.picture(7).shape, bool((scene.picture(7) == scene.picture(7)).all())
        ((48, 64, 3), True)
    """

    def __init__(self, width: int, height: int, fps: float, seed: int) -> None:
        self._width, self._height, self._fps, self._seed = width, height, fps, seed
        sharp = Image.fromarray(belt(_FINE * width * _LENGTH, _FINE * height, seed))
        seen = np.asarray(sharp.filter(ImageFilter.GaussianBlur(_BLUR * _FINE)))
        self._belt = np.concatenate([seen, seen[:, : _FINE * width]], axis=1)
        noise = np.random.default_rng(seed).standard_normal((_NOISES, height, width, 3), np.float32)
        self._noise = np.rint(_NOISE * noise).astype(np.int16)

    def picture(self, number: int) -> Array:
        """Picture ``number``: H x W x 3, uint8."""
        left = round(number / self._fps * _SPEED * self._width * _FINE) % (_FINE * self._width * _LENGTH)
        seen = Image.fromarray(self._belt[:, left : left + _FINE * self._width]).reduce(_FINE)
        shift = np.random.default_rng((self._seed, number)).integers(0, (self._height, self._width))
        noise = np.roll(self._noise[number % _NOISES], tuple(shift), axis=(0, 1))
        picture: Array = np.clip(np.asarray(seen).astype(np.int16) + noise, 0, 255).astype(np.uint8)
        return picture


class ConveyorCamera:
    """One handle on the camera above the belt, see :class:`sharpline.line.sources.camera.Camera`.

    Args:
        scene: What it sees.
        interval: Seconds between two pictures; 0 gives them as fast as they are taken.
        frames: Pictures until it ends; None never does.
    """

    def __init__(self, scene: Scene, interval: float, frames: int | None) -> None:
        self._scene, self._interval, self._frames = scene, interval, frames
        self._given = 0
        self._begin = 0.0

    def open(self) -> None:
        """Starts the belt."""
        self._begin = time.monotonic()

    def read(self) -> Shot | None:
        """The next picture, at its time."""
        if self._given == self._frames:
            return None
        image = self._scene.picture(self._given)
        time.sleep(max(0.0, self._begin + self._given * self._interval - time.monotonic()))
        self._given += 1
        return Shot(image, time.monotonic())

    def interrupt(self) -> None:
        """A picture never takes long."""

    def close(self) -> None:
        """Holds nothing."""


def conveyor(
    name: str,
    width: int = 320,
    height: int = 240,
    *,
    fps: float = 15.0,
    seed: int = 0,
    frames: int | None = None,
    paced: bool = True,
) -> Machine:
    """The belt as a source of a line. Drawing it takes a second or so.

    Args:
        name: Of the source.
        width: Of the picture in pixels.
        height: Of the picture.
        fps: Pictures a second.
        seed: Of the parts and of the noise.
        frames: Pictures until the source closes; None never does.
        paced: At their rate; otherwise as fast as they are taken.

    Example:
        >>> source = conveyor("belt", 64, 48, frames=2, paced=False)
        >>> frames = []
        >>> source.start(frames.append)
        >>> source.join(10)
        True
        >>> [frame.number for frame in frames]
        [0, 1]
    """
    scene = Scene(width, height, fps, seed)
    patience = Patience(lag=math.inf)
    interval = 1 / fps if paced else 0.0
    return Machine(name, lambda: ConveyorCamera(scene, interval, frames), patience, ends=frames is not None)
