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
from typing import Any

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
    rng = random.Random(0)
    cables = {f"cam{k}": Cable(Scene(*size, fps, k + 1), fps, rng) for k in range(2)}
    sources = [Machine(name, lambda cable=cable: FaultyCamera(cable), Patience()) for name, cable in cables.items()]
    watch = Onlooker(cables, age=2.0)
    cycle = min(_CYCLE, seconds / 2)
    pulled, frozen, away = min(5.0, cycle / 10), min(8.0, cycle / 5), min(60.0, seconds / 10)
    memory: list[tuple[float, float]] = []
    outages = 0

    def cut(name: str, how: Any, length: float) -> None:
        nonlocal outages
        outages += 1
        cables[name].cut(how, length)
        watch.expect(name)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        receiver = Receiver(rng)
        stack.callback(receiver.down)
        broker = Broker(folder) if Broker.program() else None
        subscriber = None
        if broker:
            stack.callback(broker.down)
            subscriber = Subscriber(broker.port, "soak")
            stack.callback(subscriber.close)
        config = _config(folder, receiver.url, broker, threads)
        line = Line(config, sources=sources, sinks=[StuckSink(rng), watch], detector=Finder(rng))
        rungs = line._enlarging._rungs  # faults have to be put where no user can
        line._enlarging._rungs = [replace(rungs[0], enlarge=_failing(rungs[0].enlarge, rng)), *rungs[1:]]
        faults = _Schedule(
            cycle,
            [
                (0.05, lambda: cut("cam0", "pulled", pulled)),
                (0.15, lambda: broker and broker.down()),
                (0.25, lambda: broker and broker.up()),
                (0.35, lambda: cut("cam1", "frozen", frozen)),
                (0.60, lambda: cut("cam0", "frozen", frozen)),
                (0.65, lambda: cut("cam1", "pulled", pulled)),
            ],
        )
        absence = _Schedule(1e9, [(0.3 * seconds / 1e9, receiver.down), ((0.3 * seconds + away) / 1e9, receiver.up)])
        begin = time.monotonic()
        with Server(line, ViewConfig(port=0)) as server, line:
            for slow in (0.0, 1.0):
                looking = browser(server.url, "cam0", 4 * size[0], slow)
                stack.callback(looking.wait)
                stack.callback(looking.kill)
            while (now := time.monotonic() - begin) < seconds:
                time.sleep(0.5)
                faults.play(now)
                absence.play(now)
                line.metrics()
                for alarm in line.alarms():
                    line.acknowledge(alarm.number)
                memory.append((now, memory_mb()))
                if int(now / 10) != int((now - 0.5) / 10):
                    report(f"{now:5.0f} s  {memory[-1][1]:.0f} MB  {dict(line.counters('cam0'))}")
            end = max(cable.whole_since for cable in cables.values()) + BACK  # who was cut last has its time, too
            while watch.awaited and time.monotonic() < end:
                time.sleep(0.1)
        ran = time.monotonic() - begin
        counted = [line.counters(name) for name in line.names]
        queues = line.queues()
        failures = line._enlarging.failures
        waiting = _waiting(folder / "outbox.sqlite", "webhook")
        time.sleep(2.0)  # the broker hands on the last of what it took
        heard = subscriber.got.values() if subscriber else []
    webhook = next(numbers for name, numbers in queues.items() if name.startswith("webhook"))
    mqtt = next((numbers for name, numbers in queues.items() if name.startswith("mqtt")), None)
    before = sum(int(c[f"dropped_{reason}"]) for c in counted for reason in ("damaged", "lost", "stale"))
    dropped = sum(int(v) for c in counted for k, v in c.items() if k.startswith("dropped_"))
    frames, results = (sum(int(c[key]) for c in counted) for key in ("frames", "results"))
    turn = min(cycle, 0.5 * (seconds - warm_up))  # a whole cycle: while a camera is away there are fewer pictures
    first = float(np.mean([mb for now, mb in memory if warm_up <= now <= warm_up + turn]))
    last = float(np.mean([mb for now, mb in memory if now >= seconds - turn]))
    back = sorted(watch.back)
    return Soaked(
        protocol=(
            f"2 cameras {size[0]}x{size[1]} at {fps:g} fps, edge-s-x4 (unless a frame takes 2 s), {threads} thread(s); "
            f"each {cycle:g} s: cables "
            f"pulled {pulled:g} s, frozen {frozen:g} s, broker killed; receiver away {away:g} s, 15 % answers 500, "
            "5 % too late; half pictures, resets, refusals; failing model, detector, sink; a quick and a slow browser"
        ),
        seconds=round(ran, 1),
        camera_fps=round(frames / ran, 1),
        fps=round(results / ran, 1),
        frames=frames,
        results=results,
        fallbacks=sum(int(c["fallbacks"]) for c in counted),
        dropped=dropped,
        unaccounted=frames - results - (dropped - before),
        failures=failures,
        events=int(webhook["events"] + webhook["lost"]),
        events_sent=len(receiver.got),
        events_waiting=len(waiting),
        events_lost=int(webhook["events"] + webhook["lost"]) - len(waiting | set(receiver.got)),
        events_repeated=receiver.repeated,
        events_duplicated=receiver.duplicated,
        mqtt_events=int(mqtt["events"]) if mqtt else -1,
        mqtt_sent=int(mqtt["sent"]) if mqtt else -1,
        mqtt_lost=int(mqtt["events"] + mqtt["lost"] - mqtt["sent"] - mqtt["outbox"]) if mqtt else 0,
        mqtt_received=len(heard),
        mqtt_repeated=sum(heard) - len(heard),
        reconnects=sum(int(c["reconnects"]) for c in counted),
        outages=outages,
        not_back=watch.missed + len(watch.awaited),
        back_s_p50=round(float(np.median(back)), 2) if back else 0.0,
        back_s_max=round(max(back, default=0.0), 2),
        back_s=" ".join(f"{value:.1f}" for value in back),
        oldest_live_s=round(watch.oldest, 2),
        first_minute_mb=round(first, 1),
        end_mb=round(last, 1),
        growth_percent=round(100 * (last / first - 1), 2),
    )


def _waiting(path: Path, kind: str) -> set[str]:
    """The ids of the events of one kind of receiver that an outbox holds, dead or alive."""
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM events WHERE destination LIKE ?", (f"{kind}%",))}
