"""Looks after a running line: what it has counted, what is wrong with it, what limits it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sharpline.line import memory
from sharpline.line.alarms import Alarms
from sharpline.line.board import Board
from sharpline.line.detecting import Detecting
from sharpline.line.flow.enlarging import Enlarging
from sharpline.line.flow.handover import Handover
from sharpline.line.flow.mailboxes import Mailboxes
from sharpline.line.parts import Sink, Source, SourceState
from sharpline.line.supervision import Loop, Spells
from sharpline.line.tally import Tally

_log = logging.getLogger(__name__)
_PERIOD = 0.25  # seconds between two looks
_AWAY = 5.0  # seconds that a source may be away, or may take to come up, before it is an alarm
STUCK = 10.0  # seconds that one frame may take before the upscaler counts as stuck


@dataclass
class Watch:
    """The parts of a line, as its keeper sees them. In a replay, ``patience`` has no end: sinks may hold it up."""

    sources: Mapping[str, Source]
    sinks: Sequence[Sink]
    ways: Sequence[Handover]
    boxes: Mailboxes
    enlarging: Enlarging
    upscaler: Loop
    detecting: Detecting | None
    alarms: Alarms
    board: Board
    tally: Tally
    patience: float  # seconds that one frame may take
    _states: dict[str, SourceState] = field(default_factory=dict)
    _last_queues: Mapping[str, Mapping[str, float]] | None = None
    _running: dict[str, float] = field(default_factory=dict)  # when each source was last seen to run
    _spells: Spells = field(default_factory=Spells)  # of the sinks
    _looked: float = field(default_factory=time.monotonic)
    _given_back: float = field(default_factory=time.monotonic)

    @property
    def names(self) -> list[str]:
        """The sources, in the order of the configuration."""
        return list(self.sources)

    def state(self, source: str) -> SourceState:
        """Where a source stands."""
        return self.sources[source].state

    def look(self) -> None:
        """One look at the sources: changes wake the page, one that stays away is an alarm. Also tidies up."""
        self._looked = now = time.monotonic()
        for name, source in self.sources.items():
            state = source.state
            if state != self._states.get(name):
                self._states[name] = state
                self.board.wake(name)
            if state == "running":
                self._running[name] = now
            away = now - self._running.setdefault(name, now) > _AWAY and state != "closed"
            text = f"{state}: {source.trouble}" if source.trouble else state
            self.alarms.update(name, {"source": text} if away else {}, ["source"])
        for sink in self.sinks:
            if trouble := sink.trouble:
                if self._spells.begins(sink.name, now):
                    _log.warning("%s", _said(sink.name, trouble))
            elif self._spells.ends(sink.name):
                _log.info("%s: works again", sink.name)
        if now - self._given_back >= memory.EVERY:
            self._given_back = now
            memory.give_back()
        time.sleep(_PERIOD)

    def drained(self) -> bool:
        """Whether every frame that was captured has become a result or was dropped."""
        return all(
            (counted := self.boxes.counters(name))["waiting"] == 0
            and counted["taken"] == self.tally.of(name)["results"]
            for name in self.sources
        )

    def counters(self, source: str) -> Mapping[str, float]:
        """Of one source: ``frames`` (captured), ``reconnects``, ``dropped_<reason>``, ``waiting``, and the tally's."""
        sums = {"frames": 0.0, "reconnects": 0.0, **self.sources[source].counters()}
        for name, value in self.boxes.counters(source).items():
            if name == "waiting" or name.startswith("dropped_"):
                sums[name] = sums.get(name, 0) + value
        return {**sums, **self.tally.of(source)}

    def queues(self) -> Mapping[str, Mapping[str, float]]:
        """Of each sink its counters and how many results were ``skipped`` before it; of the detector the same."""
        if self._last_queues is not None:
            return self._last_queues
        found: dict[str, Mapping[str, float]] = {}
        for sink, way in zip(self.sinks, self.ways, strict=True):
            before = way.counters()
            found[sink.name] = {"skipped": before["skipped"], "raised": before["failed"], **sink.counters()}
        if self.detecting is not None:
            found[f"detector {self.detecting.name}"] = self.detecting.counters()
        return found

    def stopped(self) -> None:
        """Keeps the sinks' numbers: their outbox is about to be closed."""
        self._last_queues = self.queues()

    def gauges(self) -> Mapping[str, float]:
        """Numbers of the whole line."""
        return {
            "rung": self.enlarging.rung,
            "model_failures": self.enlarging.failures,
            "upscaler_restarts": self.upscaler.restarts,
            "active_alarms": sum(alarm.active for alarm in self.alarms.listed()),
            "outbox_depth": sum(counters.get("outbox", 0) for counters in self.queues().values()),
        }

    def stuck(self) -> bool:
        """Whether the upscaler is at one frame for far too long, or nobody looks any more: only a new process helps."""
        return max(self.upscaler.quiet_for(), time.monotonic() - self._looked) > self.patience

    def summary(self) -> str:
        """What is wrong, sources that are away first, in one line."""
        away = [
            f"{name} is {source.state}" + (f": {source.trouble}" if source.trouble else "")
            for name, source in self.sources.items()
            if source.state != "running"
        ]
        return " ".join("; ".join([*away, *self.health()]).split()) or "all is well"

    def health(self) -> list[str]:
        """What limits the line though it runs, one sentence each; empty when all is well."""
        found = []
        if self.stuck():
            found.append(f"the upscaler has not answered for {self.upscaler.quiet_for():.0f} s")
        if self.enlarging.rung > 0:
            found.append(f"frames are made by {self.enlarging.method}: the machine is too slow, or the model fails")
        for sink, way in zip(self.sinks, self.ways, strict=True):
            if sink.trouble:
                found.append(_said(sink.name, sink.trouble))
            if way.full():
                found.append(f"{sink.name} does not keep up")
            if refused := sink.counters().get("dead", 0):
                found.append(f"{sink.name}: {refused:.0f} events were refused; 'sharpline line outbox' shows them")
        return found


def _said(name: str, trouble: str) -> str:
    """Whose trouble it is, said once.

    Example:
        >>> _said("webhook 10.0.0.1:9/x", "10.0.0.1:9/x: the connection failed"), _said("mqtt", "mqtt: full")
        ('webhook 10.0.0.1:9/x: the connection failed', 'mqtt: full')
    """
    place, found, rest = trouble.partition(": ")
    return f"{name}: {rest if found and place in name else trouble}"
