"""A line under faults for as long as one likes: what gets lost, and whether the memory stays flat."""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from sharpline.errors import ModelError
from sharpline.line.config import LineConfig, parse_line
from sharpline.line.conveyor import ConveyorCamera, Scene
from sharpline.line.frame import Detection, Frame, Result
from sharpline.line.parts import DetectorError
from sharpline.line.running import Line
from sharpline.line.sources.camera import CameraError, Shot
from sharpline.line.sources.machine import Machine, Patience

SECRET = "SHARPLINE_SOAK_SECRET"


def memory_mb() -> float:
    """Resident memory of this process, 10^6 bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class FaultyCamera:
    """A conveyor's camera whose cable is pulled, which freezes, and which sends half pictures, now and then."""

    def __init__(self, scene: Scene, fps: float, rng: random.Random) -> None:
        self._camera = ConveyorCamera(scene, 1 / fps, None)
        self._rng, self._fps = rng, fps

    def open(self) -> None:
        """Refuses sometimes."""
        if self._rng.random() < 0.3:
            raise CameraError("connection refused")
        self._camera.open()

    def read(self) -> Shot | None:
        """A picture, or a fault."""
        dice = self._rng.random() * self._fps  # once a second each would be 1
        if dice < 0.05:
            raise CameraError("connection reset", damaged=1)
        if dice < 0.08:
            return None
        if dice < 0.10:
            time.sleep(2.5)
        shot = self._camera.read()
        if dice > self._fps - 0.1 and shot is not None:
            return Shot(None, shot.clock, dropped={"damaged": 1})
        return shot

    def interrupt(self) -> None:
        """It never waits long."""

    def close(self) -> None:
        """Holds nothing."""


class Receiver:
    """A webhook's receiver that is away, answers 500 or is slow for some of the time, and knows what it got."""

    def __init__(self, rng: random.Random) -> None:
        self.got: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                dice = rng.random()
                if dice < 0.05:
                    time.sleep(1.5)
                if dice < 0.2:
                    self.send_response(500)
                else:
                    receiver.got.append(self.headers.get("idempotency-key", ""))
                    self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends."""
        self._server.shutdown()
        self._server.server_close()


class Finder:
    """A detector that finds something everywhere, and fails now and then."""

    name = "soak"

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def detect(self, result: Result) -> Result:
        """One box."""
        if self._rng.random() < 0.02:
            raise DetectorError("no answer")
        return replace(result, detections=(Detection("part", 0.9, (0, 0, 9, 9), (0, 0, 2, 2)),))

    def close(self) -> None:
        """Holds nothing."""


@dataclass
class StuckSink:
    """A receiver that blocks for seconds, and raises."""

    rng: random.Random
    name: str = "stuck"
    trouble: str = ""
    taken: int = 0
    last: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Nothing to open."""

    def accept(self, result: Result) -> None:
        """Checks the order; blocks and raises sometimes."""
        assert result.frame.number > self.last.get(result.frame.source, -1), "results out of order"
        self.last[result.frame.source] = result.frame.number
        self.taken += 1
        dice = self.rng.random()
        if dice < 0.01:
            time.sleep(3)
        elif dice < 0.05:
            raise OSError("disk full")

    def stop(self, timeout: float = 5.0) -> None:
        """Nothing to close."""

    def counters(self) -> Mapping[str, float]:
        """How many it took."""
        return {"sent": self.taken}


@dataclass(frozen=True)
class Soaked:
    """What came of it.

    Attributes:
        seconds: How long it ran.
        frames: Captured.
        results: Enlarged.
        dropped: Lost and counted.
        unaccounted: Captured frames that are in no count: has to be 0.
        reconnects: Of the cameras.
        failures: Of the model.
        events_lost: Events that are neither received nor in the outbox: has to be 0.
        first_mb: Resident memory after the warm-up, mean of a tenth of the time.
        last_mb: At the end, mean of a tenth of the time.
        growth: Of the memory, share.
    """

    seconds: float
    frames: int
    results: int
    dropped: int
    unaccounted: int
    reconnects: int
    failures: int
    events_lost: int
    first_mb: float
    last_mb: float
    growth: float


def _config(folder: Path, url: str, threads: int) -> LineConfig:
    return parse_line(
        {
            "model": "edge-s-x4",
            "view": None,
            "flow": {"threads": threads, "climb_after": "3s", "rate": 2},
            "sinks": [
                {"webhook": {"url": url, "secret_env": SECRET, "every": "1s", "timeout": "1s"}},
                {"recorder": {"folder": str(folder / "recordings"), "segment": "10s", "budget": "50MB"}},
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
    receiver = Receiver(rng)
    scenes = [Scene(*size, fps, seed) for seed in (1, 2)]
    patience = Patience(connect=2.0, silence=2.0, retry=2.0)

    def source(number: int) -> Machine:
        return Machine(f"cam{number}", lambda: FaultyCamera(scenes[number], fps, rng), patience)

    memory: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        config = _config(Path(folder), receiver.url, threads)
        line = Line(config, sources=[source(0), source(1)], sinks=[StuckSink(rng)], detector=Finder(rng))
        rungs = line._enlarging._rungs  # faults have to be put where no user can
        line._enlarging._rungs = [replace(rungs[0], enlarge=_failing(rungs[0].enlarge, rng)), *rungs[1:]]
        begin = time.monotonic()
        with line:
            while (now := time.monotonic() - begin) < seconds:
                time.sleep(0.5)
                line.metrics()
                for alarm in line.alarms():
                    line.acknowledge(alarm.number)
                memory.append((now, memory_mb()))
                if int(now / 10) != int((now - 0.5) / 10):
                    report(f"{now:5.0f} s  {memory[-1][1]:.0f} MB  {line.counters('cam0')}")
        counted = [line.counters(name) for name in line.names]
        webhook = next(numbers for name, numbers in line.queues().items() if name.startswith("webhook"))
        failures = line._enlarging.failures
    receiver.close()
    dropped = sum(int(v) for c in counted for k, v in c.items() if k.startswith("dropped_"))
    before = sum(int(c[f"dropped_{reason}"]) for c in counted for reason in ("damaged", "lost", "stale"))
    frames, results = (sum(int(c[key]) for c in counted) for key in ("frames", "results"))
    late = seconds - 0.1 * (seconds - warm_up)
    early = warm_up + 0.1 * (seconds - warm_up)
    first = float(np.mean([mb for now, mb in memory if warm_up <= now <= early]))
    last = float(np.mean([mb for now, mb in memory if now >= late]))
    return Soaked(
        seconds=seconds,
        frames=frames,
        results=results,
        dropped=dropped,
        unaccounted=frames - results - (dropped - before),
        reconnects=sum(int(c["reconnects"]) for c in counted),
        failures=failures,
        events_lost=int(webhook["events"] - webhook["outbox"] - webhook["sent"] + webhook["lost"]),
        first_mb=first,
        last_mb=last,
        growth=last / first - 1,
    )
