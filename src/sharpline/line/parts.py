"""What the parts of a line have to be able to do. Each part says what it has counted; none waits for another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from sharpline.errors import UsageError
from sharpline.line.frame import Frame, Result

SourceState = Literal["connecting", "running", "stalled", "reconnecting", "closed"]
Deliver = Callable[[Frame], None]


class Source(Protocol):
    """A camera. It runs in its own thread and hands each frame to ``deliver``, which returns at once."""

    @property
    def name(self) -> str:
        """Name in the configuration."""

    @property
    def state(self) -> SourceState:
        """Where it stands."""

    @property
    def trouble(self) -> str:
        """The last thing that went wrong, one line; empty when it runs."""

    def start(self, deliver: Deliver) -> None:
        """Begins to connect and to deliver, in a thread of its own. Once."""

    def stop(self, timeout: float = 5.0) -> None:
        """Closes the camera and ends the thread; nothing is delivered after. May be called twice."""

    def counters(self) -> Mapping[str, float]:
        """``frames``, ``reconnects`` and ``dropped_<reason>`` since the start."""


class Sink(Protocol):
    """A receiver of results. ``accept`` returns at once: slow work happens behind a bounded queue or an outbox."""

    @property
    def name(self) -> str:
        """Kind and place, for example ``webhook 127.0.0.1:9000``; no secrets."""

    @property
    def trouble(self) -> str:
        """The last thing that went wrong, one line; empty when it works."""

    def start(self) -> None:
        """Opens what it needs and begins to work. Once."""

    def accept(self, result: Result) -> None:
        """Takes one result. Does not raise for a receiver that is away: that is counted and retried."""

    def stop(self, timeout: float = 5.0) -> None:
        """Finishes what can be finished in time, keeps the rest where it survives, closes. May be called twice."""

    def counters(self) -> Mapping[str, float]:
        """Numbers for the metrics, for example ``sent``, ``failed``, ``queue``, ``outbox``."""


class Detector(Protocol):
    """A fault detector that answers for one result; called in a thread of its own, never in the picture's way."""

    @property
    def name(self) -> str:
        """Kind and place; no secrets."""

    def detect(self, result: Result) -> Result:
        """The same result with ``detections`` (boxes in SR and in camera pixels).

        Raises:
            DetectorError: It did not answer in time, or not what was asked.
        """

    def close(self) -> None:
        """Lets go of what it holds."""


def check_parts(sources: Sequence[Source], sinks: Sequence[Sink], detector: Detector | None) -> None:
    """Looks whether parts of somebody's own can do what is asked of them, before the line depends on it.

    Raises:
        UsageError: Something is missing.

    Example:
        >>> check_parts([], [], None)
    """
    given: list[tuple[object, type]] = [(part, Source) for part in sources]
    given += [(part, Sink) for part in sinks] + ([] if detector is None else [(detector, Detector)])
    for part, kind in given:
        missing = [name for name in vars(kind) if not name.startswith("_") and not hasattr(part, name)]
        if missing:
            raise UsageError(f"{type(part).__name__} has no {missing[0]!r}: see sharpline.line.parts.{kind.__name__}")


class DetectorError(Exception):
    """A detector failed on one frame; one line for the operator."""
