"""Alarms: raised and ended by the line, acknowledged by an operator."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sharpline.line.supervision import Spells

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alarm:
    """Something that an operator has to see.

    Attributes:
        number: Its own, never given twice while the line runs.
        source: The camera it is about; empty for the whole line.
        kind: What it is about, one word.
        text: One short sentence.
        raised: When it began, by :func:`time.monotonic`.
        active: Whether the reason still lasts.
        acknowledged: Whether somebody has seen it.
    """

    number: int
    source: str
    kind: str
    text: str
    raised: float
    active: bool = True
    acknowledged: bool = False


class Alarms:
    """All alarms of a line. One stays until it is over *and* acknowledged; what comes back meanwhile is the same one.

    May be used from many threads.

    Example:
        >>> alarms = Alarms()
        >>> alarms.update("cam1", {"black": "the picture is black"}, kinds=["black"])
        >>> alarms.update("cam1", {}, kinds=["black"])
        >>> [(alarm.text, alarm.active) for alarm in alarms.listed()]
        [('the picture is black', False)]
        >>> alarms.acknowledge(1), alarms.listed()
        (True, [])
    """

    def __init__(self) -> None:
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._given = 0
        self._spells = Spells()
        self._lock = threading.Lock()

    def update(self, source: str, found: Mapping[str, str], kinds: Sequence[str]) -> None:
        """Says how things stand with one camera.

        Args:
            source: The camera, or empty for the line.
            found: Text by kind of what is wrong now.
            kinds: The kinds that were looked at: those of them that are not in ``found`` are over.
        """
        with self._lock:
            for kind in kinds:
                if kind in found:
                    self._raise(source, kind, found[kind])
                else:
                    self._end((source, kind))

    def _raise(self, source: str, kind: str, text: str) -> None:
        alarm = self._alarms.get((source, kind))
        if self._spells.begins((source, kind), time.monotonic()):
            _log.info("alarm: %s: %s", source or "line", text)
        if alarm is None:
            self._given += 1
            alarm = Alarm(self._given, source, kind, text, time.monotonic())
        self._alarms[source, kind] = replace(alarm, text=text, active=True)

    def _end(self, key: tuple[str, str]) -> None:
        alarm = self._alarms.get(key)
        if alarm is not None and alarm.active:
            self._alarms[key] = replace(alarm, active=False)
            self._forget(key)
            if self._spells.ends(key):
                _log.info("alarm is over: %s: %s", key[0] or "line", alarm.text)

    def _forget(self, key: tuple[str, str]) -> None:
        if not self._alarms[key].active and self._alarms[key].acknowledged:
            del self._alarms[key]

    def acknowledge(self, number: int) -> bool:
        """An operator has seen an alarm. False where there is none of that number (any more)."""
        with self._lock:
            for key, alarm in self._alarms.items():
                if alarm.number == number:
                    self._alarms[key] = replace(alarm, acknowledged=True)
                    self._forget(key)
                    return True
        return False

    def listed(self) -> list[Alarm]:
        """Those that are not both over and acknowledged, oldest first."""
        with self._lock:
            return sorted(self._alarms.values(), key=lambda alarm: alarm.number)
