"""A line under faults for as long as one likes: what gets lost, how soon cameras are back, whether the memory stays."""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from browsing import browser
from faults import Broker, Cable, FaultyCamera, Finder, Receiver, StuckSink, Subscriber
from sharpline.console.server import Server
from sharpline.errors import ModelError
from sharpline.line.config import LineConfig, ViewConfig, parse_line
from sharpline.line.conveyor import Scene
from sharpline.line.frame import Frame
from sharpline.line.running import Line
from sharpline.line.sources.machine import Machine, Patience
from soaked import BACK, Onlooker, Soaked

SECRET = "SHARPLINE_SOAK_SECRET"
_CYCLE = 75.0  # seconds in which each fault comes once


@dataclass(frozen=True)
class Length:
    """How long a soak and its faults are, in seconds. A short soak has all of them, only shorter."""

    seconds: float
    warm_up: float

    @property
    def cycle(self) -> float:
        """In which each fault comes once."""
        return min(_CYCLE, self.seconds / 2)

    @property
    def pulled(self) -> float:
        """For which a cable is out."""
        return min(5.0, self.cycle / 10)

    @property
    def frozen(self) -> float:
        """For which a camera shows the same."""
        return min(8.0, self.cycle / 5)

    @property
    def away(self) -> tuple[float, float]:
        """From when to when the receiver is."""
        return 0.3 * self.seconds, 0.3 * self.seconds + min(60.0, self.seconds / 10)

    def __str__(self) -> str:
        begin, end = self.away
        return (
            f"each {self.cycle:g} s: cables pulled {self.pulled:g} s, frozen {self.frozen:g} s, broker killed; "
            f"receiver away {end - begin:g} s"
        )


def memory_mb() -> float:
    """Resident memory of this process, 10^6 bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _config(folder: Path, url: str, broker: Broker | None, threads: int) -> LineConfig:
    events = {"every": "1s", "timeout": "1s"}
    mqtt = [{"mqtt": {"url": broker.url, "topic": "soak", **events}}] if broker else []
    return parse_line(
        {
            "model": "edge-s-x4",
            "view": None,
            # On a busy machine, too, the model is to make the pictures: passthrough would be no test of the memory
            "flow": {"threads": threads, "climb_after": "3s", "rate": 0.2, "deadline": "2s"},
            "sinks": [
                {"webhook": {"url": url, "secret_env": SECRET, **events}},
                {"recorder": {"folder": str(folder / "recordings"), "segment": "10s", "budget": "50MB"}},
                *mqtt,
            ],
            "outbox": {"path": str(folder / "outbox.sqlite")},
        }
    )


def _failing(enlarge: Callable[[Frame], Any], rng: random.Random) -> Callable[[Frame], Any]:
    def sometimes(frame: Frame) -> Any:
        if rng.random() < 0.01:
            raise ModelError("injected")
        return enlarge(frame)

    return sometimes


@dataclass
class _Schedule:
    """Which fault comes when. Times are shares of a cycle, so that a short run has all of them, too."""

    cycle: float
    actions: list[tuple[float, Callable[[], object]]]
    _done: int = 0

    def play(self, now: float) -> None:
        """Does what is due."""
        turn, at = divmod(self._done, len(self.actions))
        share, action = self.actions[at]
        if now >= (turn + share) * self.cycle:
            self._done += 1
            action()


class _Rig:
    """A line with two cameras, what receives from it, and what happens to them all."""

    def __init__(self, folder: Path, stack: ExitStack, length: Length, fps: float, size: tuple[int, int], threads: int):
        rng = random.Random(0)
        self.length = length
        self.cables = {f"cam{k}": Cable(Scene(*size, fps, k + 1), fps, rng) for k in range(2)}
        self.watch = Onlooker(self.cables, age=2.0)
        self.outbox = folder / "outbox.sqlite"
        self.receiver = Receiver(rng)
        stack.callback(self.receiver.down)
        self.broker = Broker(folder) if Broker.program() else None
        self.subscriber: Subscriber | None = None
        if self.broker:
            stack.callback(self.broker.down)
            self.subscriber = Subscriber(self.broker.port, "soak")
            stack.callback(self.subscriber.close)
        config = _config(folder, self.receiver.url, self.broker, threads)
        sources = [Machine(n, lambda cable=c: FaultyCamera(cable), Patience()) for n, c in self.cables.items()]
        self.line = Line(config, sources=sources, sinks=[StuckSink(rng), self.watch], detector=Finder(rng))
        rungs = self.line._enlarging._rungs  # faults have to be put where no user can
        self.line._enlarging._rungs = [replace(rungs[0], enlarge=_failing(rungs[0].enlarge, rng)), *rungs[1:]]
        self.outages = 0
        self.memory: list[tuple[float, float]] = []

    def _cut(self, name: str, how: Literal["pulled", "frozen"]) -> None:
        self.outages += 1
        self.cables[name].cut(how, getattr(self.length, how))
        self.watch.expect(name)

    def _schedules(self) -> tuple[_Schedule, _Schedule]:
        """The faults of each cycle, and the one absence of the receiver."""
        each = [
            (0.05, lambda: self._cut("cam0", "pulled")),
            (0.15, lambda: self.broker and self.broker.down()),
            (0.25, lambda: self.broker and self.broker.up()),
            (0.35, lambda: self._cut("cam1", "frozen")),
            (0.60, lambda: self._cut("cam0", "frozen")),
            (0.65, lambda: self._cut("cam1", "pulled")),
        ]
        begin, end = self.length.away
        once = [(begin / 1e9, self.receiver.down), (end / 1e9, self.receiver.up)]
        return _Schedule(self.length.cycle, each), _Schedule(1e9, once)

    def play(self, report: Callable[[str], None]) -> None:
        """Lets the faults happen for the whole time, reads the memory, and waits for cameras that were cut last."""
        schedules, begin = self._schedules(), time.monotonic()
        while (now := time.monotonic() - begin) < self.length.seconds:
            time.sleep(0.5)
            for schedule in schedules:
                schedule.play(now)
            self.line.metrics()
            for alarm in self.line.alarms():
                self.line.acknowledge(alarm.number)
            self.memory.append((now, memory_mb()))
            if int(now / 10) != int((now - 0.5) / 10):
                report(f"{now:5.0f} s  {self.memory[-1][1]:.0f} MB  {dict(self.line.counters('cam0'))}")
        end = max(cable.whole_since for cable in self.cables.values()) + BACK
        while self.watch.awaited and time.monotonic() < end:
            time.sleep(0.1)


def soak(
    seconds: float,
    *,
    warm_up: float = 60.0,
    fps: float = 25.0,
    size: tuple[int, int] = (320, 240),
    threads: int = 1,
    report: Callable[[str], None] = lambda line: None,
) -> Soaked:
    """Runs a line with two cameras under faults.

    Args:
        seconds: How long.
        warm_up: Seconds after which the memory has to stay flat.
        fps: Of each camera.
        size: Of each camera's pictures, width and height.
        threads: Of the model.
        report: Gets a line every ten seconds.
    """
    os.environ.setdefault(SECRET, "soak" * 8)
    length = Length(seconds, warm_up)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rig = _Rig(folder, stack, length, fps, size, threads)
        begin = time.monotonic()
        with Server(rig.line, ViewConfig(port=0)) as server, rig.line:
            for slow in (0.0, 1.0):
                looking = browser(server.url, "cam0", 4 * size[0], slow)
                stack.callback(looking.wait)
                stack.callback(looking.kill)
            rig.play(report)
        ran = time.monotonic() - begin
        waiting = _waiting(rig.outbox, "webhook")
        time.sleep(2.0)  # the broker hands on the last of what it took
        protocol = (
            f"2 cameras {size[0]}x{size[1]} at {fps:g} fps, edge-s-x4 (unless a frame takes 2 s), {threads} thread(s); "
            f"{length}, 15 % answers 500, 5 % too late; "
            "half pictures, resets, refusals; failing model, detector, sink; a quick and a slow browser"
        )
        return Soaked(
            protocol=protocol,
            seconds=round(ran, 1),
            **_frames(rig, ran),
            **_events(rig, waiting),
            **_cameras(rig),
            **_memory(rig),
        )


def _frames(rig: _Rig, ran: float) -> dict[str, Any]:
    counted = [rig.line.counters(name) for name in rig.line.names]
    before = sum(int(c[f"dropped_{reason}"]) for c in counted for reason in ("damaged", "lost", "stale"))
    dropped = sum(int(v) for c in counted for k, v in c.items() if k.startswith("dropped_"))
    frames, results = (sum(int(c[key]) for c in counted) for key in ("frames", "results"))
    return {
        "camera_fps": round(frames / ran, 1),
        "fps": round(results / ran, 1),
        "frames": frames,
        "results": results,
        "fallbacks": sum(int(c["fallbacks"]) for c in counted),
        "dropped": dropped,
        "unaccounted": frames - results - (dropped - before),
        "failures": rig.line._enlarging.failures,
        "reconnects": sum(int(c["reconnects"]) for c in counted),
    }


def _events(rig: _Rig, waiting: set[str]) -> dict[str, Any]:
    queues, receiver = rig.line.queues(), rig.receiver
    webhook = next(numbers for name, numbers in queues.items() if name.startswith("webhook"))
    mqtt = next((numbers for name, numbers in queues.items() if name.startswith("mqtt")), None)
    heard = rig.subscriber.got.values() if rig.subscriber else []
    made = int(webhook["events"] + webhook["lost"])
    return {
        "events": made,
        "events_sent": len(receiver.got),
        "events_waiting": len(waiting),
        "events_lost": made - len(waiting | set(receiver.got)),
        "events_repeated": receiver.repeated,
        "events_duplicated": receiver.duplicated,
        "mqtt_events": int(mqtt["events"]) if mqtt else -1,
        "mqtt_sent": int(mqtt["sent"]) if mqtt else -1,
        "mqtt_lost": int(mqtt["events"] + mqtt["lost"] - mqtt["sent"] - mqtt["outbox"]) if mqtt else 0,
        "mqtt_received": len(heard),
        "mqtt_repeated": sum(heard) - len(heard),
    }


def _cameras(rig: _Rig) -> dict[str, Any]:
    back = sorted(rig.watch.back)
    return {
        "outages": rig.outages,
        "not_back": rig.watch.missed + len(rig.watch.awaited),
        "back_s_p50": round(float(np.median(back)), 2) if back else 0.0,
        "back_s_max": round(max(back, default=0.0), 2),
        "back_s": " ".join(f"{value:.1f}" for value in back),
        "oldest_live_s": round(rig.watch.oldest, 2),
    }


def _memory(rig: _Rig) -> dict[str, Any]:
    """Means over whole cycles: while a camera is away there are fewer pictures, and between two ``give_back`` more."""
    seconds, warm_up = rig.length.seconds, rig.length.warm_up
    turn = min(rig.length.cycle, 0.5 * (seconds - warm_up))
    first = float(np.mean([mb for now, mb in rig.memory if warm_up <= now <= warm_up + turn]))
    last = float(np.mean([mb for now, mb in rig.memory if now >= seconds - turn]))
    return {
        "begin_mb": round(first, 1),
        "end_mb": round(last, 1),
        "growth_percent": round(100 * (last / first - 1), 2),
    }


def _waiting(path: Path, kind: str) -> set[str]:
    """The ids of the events of one kind of receiver that an outbox holds, dead or alive."""
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM events WHERE destination LIKE ?", (f"{kind}%",))}
