"""What came of a soak: what is measured, and whether it keeps the limits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from faults import Cable
from sharpline.line.frame import Result

BACK, GROWTH = 12.0, 0.05  # limits: seconds from a camera's return to its picture; share that the memory may grow
AGE = 2.0 + 1.0  # seconds: guard.age, and the lag that a picture without a time stamp may have


@dataclass
class Onlooker:
    """A sink that knows when each picture was really taken: how soon cameras are back, how old what is live can be."""

    cables: Mapping[str, Cable]
    age: float
    name: str = "onlooker"
    trouble: str = ""
    awaited: dict[str, float] = field(default_factory=dict)  # when a source's cable is whole again
    back: list[float] = field(default_factory=list)
    missed: int = 0
    oldest: float = 0.0
    taken: int = 0

    def start(self) -> None:
        """Nothing to open."""

    def expect(self, source: str) -> None:
        """A cable was cut: from its return on, time runs."""
        self.missed += source in self.awaited
        self.awaited[source] = self.cables[source].whole_since

    def accept(self, result: Result) -> None:
        """Compares what a frame says of itself with what is true."""
        now, frame = time.monotonic(), result.frame
        self.taken += 1
        moment = self.cables[frame.source].taken(frame)
        if moment is None:
            return
        if now - frame.clock <= self.age:
            self.oldest = max(self.oldest, now - moment)
        if moment >= self.awaited.get(frame.source, float("inf")):
            self.back.append(now - self.awaited.pop(frame.source))

    def stop(self, timeout: float = 5.0) -> None:
        """Nothing to close."""

    def counters(self) -> Mapping[str, float]:
        """How many it saw."""
        return {"sent": self.taken}


@dataclass(frozen=True)
class Soaked:
    """What came of it.

    Attributes:
        protocol: What ran, and which faults.
        seconds: How long it ran.
        camera_fps: Pictures a second that came from all cameras together, pauses included.
        fps: Enlarged a second, of all cameras together.
        frames: Captured.
        results: Enlarged.
        fallbacks: Of them, those that were not made by the model.
        dropped: Lost and counted.
        unaccounted: Captured frames that are in no count: has to be 0.
        failures: Of the model.
        events: Made for the webhook.
        events_sent: Different ones that its receiver has got.
        events_waiting: In the outbox at the end.
        events_lost: Neither received nor in the outbox: has to be 0.
        events_repeated: Received once more, under the id that they had.
        events_duplicated: Received under two ids: has to be 0.
        mqtt_events: Made for the broker; -1: mosquitto is not installed.
        mqtt_sent: Acknowledged by the broker.
        mqtt_lost: Neither acknowledged nor in the outbox: has to be 0.
        mqtt_received: Different ones that a subscriber got (QoS 1, a session that stays). What the broker had
            acknowledged and not yet handed on when it was killed is the broker's to lose.
        mqtt_repeated: Received once more, under the id that they had.
        reconnects: Of the cameras.
        outages: Cables that were cut.
        not_back: Cameras that did not come back before the next cut: has to be 0.
        back_s_p50: Seconds from a cable's return to its picture, median.
        back_s_max: The longest: 12 at most.
        back_s: All of them.
        oldest_live_s: True age of the oldest picture that was live: 3 at most (guard.age 2, lag 1).
        begin_mb: Resident memory after the warm-up, mean of a whole cycle of faults.
        end_mb: At the end, mean of a whole cycle of faults.
        growth_percent: Of the memory: less than 5.
    """

    protocol: str
    seconds: float
    camera_fps: float
    fps: float
    frames: int
    results: int
    fallbacks: int
    dropped: int
    unaccounted: int
    failures: int
    events: int
    events_sent: int
    events_waiting: int
    events_lost: int
    events_repeated: int
    events_duplicated: int
    mqtt_events: int
    mqtt_sent: int
    mqtt_lost: int
    mqtt_received: int
    mqtt_repeated: int
    reconnects: int
    outages: int
    not_back: int
    back_s_p50: float
    back_s_max: float
    back_s: str
    oldest_live_s: float
    begin_mb: float
    end_mb: float
    growth_percent: float

    def verdict(self) -> str:
        """``passed``, or which limits were not kept."""
        broken = [
            name
            for name, kept in {
                "unaccounted": self.unaccounted == 0,
                "events_lost": self.events_lost == 0,
                "events_duplicated": self.events_duplicated == 0,
                "mqtt_lost": self.mqtt_lost == 0,
                "not_back": self.not_back == 0,
                "back_s_max": self.back_s_max <= BACK,
                "oldest_live_s": self.oldest_live_s <= AGE,
                "growth_percent": self.growth_percent < 100 * GROWTH,
            }.items()
            if not kept
        ]
        return "failed: " + ", ".join(broken) if broken else "passed"
