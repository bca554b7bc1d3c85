"""What travels along the line: frames from a camera, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a camera, as it was captured.

    Attributes:
        source: Name of the source in the configuration.
        number: Sequence number, from 0, without gaps for what the source handed on; it goes on over reconnects.
        image: H x W x C, C = 1 or 3, uint8 or uint16. Read-only.
        captured: When it was captured, seconds since 1970 (wall clock): for people and events.
        clock: The same moment by :func:`time.monotonic`: for ages, deadlines and latencies. A jump of the wall clock
            does not touch it.
        dropped: Frames that were lost between the frame before and this one, by reason (``late``, ``damaged`` ...).

    Example:
        >>> import numpy as np
        >>> frame = Frame("cam1", 0, np.zeros((2, 3, 3), np.uint8), captured=1.7e9, clock=12.0)
        >>> frame.image.flags.writeable
        False
    """

    source: str
    number: int
    image: Array
    captured: float
    clock: float
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.image.flags.writeable = False


@dataclass(frozen=True)
class Detection:
    """A box of the fault detector.

    Attributes:
        label: The class, in the detector's words.
        score: Confidence, 0..1.
        box: Left, top, right, bottom in pixels of the enlarged frame.
        camera_box: The same in pixels of the camera's frame.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]
    camera_box: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Result:
    """An enlarged frame, and everything that has to be said about it. The camera's frame stays with it.

    Attributes:
        frame: The frame it was made from.
        sr: H*scale x W*scale x C of the frame's dtype. Read-only. Of ``passthrough`` it is the frame itself.
        scale: Enlargement of ``sr``: 1 for ``passthrough``.
        method: What made the pixels: the name of a model, ``bicubic`` or ``passthrough``.
        model_hash: SHA-256 of the model file, empty for ``bicubic`` and ``passthrough``.
        fallback: Whether ``method`` is not the configured model.
        seconds: Time the enlargement took.
        finished: :func:`time.monotonic` when it was done; ``finished - frame.clock`` is the latency.
        consistency: Largest of the mean absolute differences, in levels of 255, between 8 x 8 blocks of the frame and
            of the result shrunk to its size; None where this frame was not measured, and for ``passthrough``.
        alarms: What is out of bounds, one short sentence each; empty when all is well.
        detections: What the fault detector answered, empty before it has.
        reused: Share, 0..1, of the tiles that were taken over from the frame before, their input being unchanged.
    """

    frame: Frame
    sr: Array
    scale: int
    method: str
    model_hash: str
    fallback: bool
    seconds: float
    finished: float
    consistency: float | None = None
    alarms: tuple[str, ...] = ()
    detections: tuple[Detection, ...] = ()
    reused: float = 0.0

    def __post_init__(self) -> None:
        self.sr.flags.writeable = False


def clear(image: Array) -> Array:
    """The picture as H x W x 3 uint8, for screens and encoders: 16 bits are scaled, grey is repeated.

    Example:
        >>> clear(np.full((1, 2, 1), 65535, np.uint16)).tolist()
        [[[255, 255, 255], [255, 255, 255]]]
    """
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return image if image.shape[2] == 3 else np.repeat(image, 3, axis=2)
