"""The newest result of each camera, for whoever looks: the operator's page, or your own program."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from sharpline.line.frame import Detection, Result

_log = logging.getLogger(__name__)


class Board:
    """Holds the newest results and wakes those who wait for them. May be used from many threads.

    Args:
        names: The cameras.
        stale_after: Age in seconds from which a result is not live any more; None for never.
    """

    def __init__(self, names: Sequence[str], stale_after: float | None) -> None:
        self.stale_after = stale_after
        self._latest: dict[str, Result] = {}
        self._answers: dict[str, tuple[float, tuple[Detection, ...]]] = {}  # clock of their frame, boxes
        self._wakes: dict[str, dict[object, Callable[[], None]]] = {name: {} for name in names}
        self._lock = threading.Lock()

    def post(self, result: Result) -> None:
        """A new result. Boxes of an earlier answer that is not stale yet go on it."""
        source = result.frame.source
        with self._lock:
            self._latest[source] = replace(result, detections=self._boxes(source))
        self.wake(source)

    def answer(self, result: Result) -> None:
        """A detector's answer for a result, which need not be the newest any more."""
        source = result.frame.source
        with self._lock:
            self._answers[source] = (result.frame.clock, result.detections)
            newest = self._latest[source]
            self._latest[source] = replace(newest, detections=result.detections)
        self.wake(source)

    def _boxes(self, source: str) -> tuple[Detection, ...]:
        clock, boxes = self._answers.get(source, (0.0, ()))
        return () if self._old(clock) else boxes

    def _old(self, clock: float) -> bool:
        return self.stale_after is not None and time.monotonic() - clock > self.stale_after

    def latest(self, source: str) -> Result | None:
        """The newest result, however old; None before the first."""
        with self._lock:
            return self._latest.get(source)

    def live(self, source: str) -> Result | None:
        """The newest result, None where it is too old to be shown as live."""
        result = self.latest(source)
        return None if result is None or self._old(result.frame.clock) else result

    def subscribe(self, source: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Has ``wake`` called when something changes; returns what ends that."""
        key = object()
        with self._lock:
            self._wakes[source][key] = wake

        def end() -> None:
            with self._lock:
                self._wakes[source].pop(key, None)

        return end

    def wake(self, source: str) -> None:
        """Wakes those who look at a camera."""
        with self._lock:
            wakes = list(self._wakes[source].values())
        for wake in wakes:
            try:
                wake()
            except Exception:
                _log.exception("a subscriber to %s failed", source)
