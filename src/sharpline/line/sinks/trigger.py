"""Decides which results become events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sharpline.line.frame import Result
from sharpline.line.sinks.config import Cause, Triggers


@dataclass(frozen=True)
class Occasion:
    """Why a result became an event.

    Attributes:
        cause: The weightiest: alarm, detection, each, every.
        dropped: Frames of the source that were lost since its event before, by reason.
    """

    cause: Cause
    dropped: Mapping[str, int]


@dataclass
class _Memory:
    """What is remembered of one source. Times are those of ``Frame.clock``."""

    due: float | None = None
    lasting: set[Cause] = field(default_factory=set)
    said: dict[Cause, float] = field(default_factory=dict)
    dropped: Counter[str] = field(default_factory=Counter)


class Trigger:
    """Asked once for every result, in order.

    Example:
        >>> import numpy as np
        >>> from sharpline.line.frame import Frame
        >>> pixels, trigger = np.zeros((2, 2, 3), np.uint8), Trigger(Triggers(every="1s"))
        >>> def result(clock):
        ...     return Result(Frame("cam1", 0, pixels, 0.0, clock), pixels, 1, "passthrough", "", True, 0.0, clock)
        >>> [trigger(result(clock)) is not None for clock in (0.0, 0.5, 1.0, 1.9, 2.1)]
        [True, False, True, False, True]
    """

    def __init__(self, config: Triggers) -> None:
        self._config = config
        self._sources: dict[str, _Memory] = {}

    def __call__(self, result: Result) -> Occasion | None:
        """Why this result is an event; None if it is not."""
        memory = self._sources.setdefault(result.frame.source, _Memory())
        memory.dropped.update(result.frame.dropped)
        causes = self._causes(memory, result)
        if not causes:
            return None
        dropped, memory.dropped = memory.dropped, Counter()
        return Occasion(causes[0], dict(dropped))

    def _causes(self, memory: _Memory, result: Result) -> list[Cause]:
        clock, causes = result.frame.clock, list[Cause]()
        if "alarm" in self._config.on and self._speaks(memory, "alarm", bool(result.alarms), clock):
            causes.append("alarm")
        if "detection" in self._config.on and self._speaks(memory, "detection", bool(result.detections), clock):
            causes.append("detection")
        if "each" in self._config.on:
            causes.append("each")
        if self._config.every is not None and (memory.due is None or clock >= memory.due):
            causes.append("every")
            late = memory.due is None or clock - memory.due >= self._config.every
            memory.due = (clock if late or memory.due is None else memory.due) + self._config.every
        return causes

    def _speaks(self, memory: _Memory, cause: Cause, present: bool, clock: float) -> bool:
        """Whether it begins, or has lasted for the gap since it was last said."""
        if not present:
            memory.lasting.discard(cause)
            return False
        if cause in memory.lasting and clock - memory.said[cause] < self._config.gap:
            return False
        memory.lasting.add(cause)
        memory.said[cause] = clock
        return True
