"""What a kind of camera has to be able to do. All patience, retries and clocks are the machine's, not the camera's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sharpline.line.frame import Array


@dataclass(frozen=True, eq=False)
class Shot:
    """What a camera gave at one read.

    Attributes:
        image: H x W x C, C = 1 or 3 (RGB), uint8 or uint16. None where there is only a loss to tell of.
        clock: When it arrived here, by :func:`time.monotonic`.
        media: The camera's own time stamp, seconds since any moment; None where it has none.
        dropped: What the camera lost since the shot before, by reason.
    """

    image: Array | None
    clock: float
    media: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)


class CameraError(Exception):
    """A camera cannot be opened or read. One line for the operator.

    Args:
        message: what is wrong and what to do.
        damaged: pictures that were lost with it.
    """

    def __init__(self, message: str, damaged: int = 0) -> None:
        super().__init__(message)
        self.damaged = damaged


class Camera(Protocol):
    """One handle on a camera. It is opened once, read until it fails or ends, closed, and thrown away.

    All but :meth:`interrupt` is called in one thread. Whatever is raised means: this handle is finished.
    """

    def open(self) -> None:
        """Connects; may take long.

        Raises:
            CameraError: it cannot.
        """

    def read(self) -> Shot | None:
        """The next picture, waiting for it; None at the end.

        Raises:
            CameraError: there is none, and there will be none from this handle.
        """

    def interrupt(self) -> None:
        """Makes a waiting ``open`` or ``read`` give up soon, where that is possible; called from another thread."""

    def close(self) -> None:
        """Lets go of everything; also after a failed ``open``."""
