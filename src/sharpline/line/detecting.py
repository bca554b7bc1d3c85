"""The fault detector's place: beside the picture's way, before the sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sharpline.line.alarms import Alarms
from sharpline.line.flow.handover import Handover
from sharpline.line.frame import Result
from sharpline.line.parts import Detector

_KIND = "detector"


class Detecting:
    """Asks the detector about the newest result and hands its answers on; those it has no time for are counted.

    A result that it fails on goes on without detections, and an alarm stands until it answers again.

    Args:
        detector: The detector.
        answered: Called with each result, completed.
        alarms: Where its failures show.
        live: Live, else every result is waited for.
    """

    def __init__(self, detector: Detector, answered: Callable[[Result], None], alarms: Alarms, *, live: bool) -> None:
        self._detector, self._answered, self._alarms = detector, answered, alarms
        self._way = Handover(detector.name, self._detect, live=live, depth=1)
        self.failures = 0
        self.name = detector.name
        self.start, self.put, self.idle, self.stop = self._way.start, self._way.put, self._way.idle, self._way.stop

    def _detect(self, result: Result) -> None:
        problems = {}
        try:
            result = self._detector.detect(result)
        except Exception as error:
            self.failures += 1
            problems[_KIND] = f"{self.name}: {' '.join(str(error).split())[:200] or type(error).__name__}"
        self._alarms.update("", problems, [_KIND])
        self._answered(result)

    def counters(self) -> Mapping[str, float]:
        """``handed``, ``skipped`` (a newer result came first), ``failed`` and ``queue``."""
        return {**self._way.counters(), "failed": self.failures}

    def close(self) -> None:
        """Lets go of what the detector holds."""
        self._detector.close()
