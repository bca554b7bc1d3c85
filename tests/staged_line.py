"""Sources, sinks and lines whose every move a test decides."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from patience import PATIENCE, eventually
from sharpline.line.frame import Frame, Result
from sharpline.line.parts import Deliver, SourceState


def frame(source: str = "cam1", number: int = 0, image: np.ndarray | None = None, clock: float | None = None) -> Frame:
    """A frame, captured now unless said otherwise."""
    pixels = np.full((8, 10, 3), 100, np.uint8) if image is None else image
    return Frame(source, number, pixels, time.time(), time.monotonic() if clock is None else clock)


def result(number: int = 0, source: str = "cam1", **more: object) -> Result:
    """A result of a small frame."""
    facts: dict[str, object] = {"method": "m", "model_hash": "", "fallback": False, "seconds": 0.0, "finished": 0.0}
    lr = frame(source, number)
    return Result(frame=lr, sr=lr.image, scale=1, **{**facts, **more})  # type: ignore[arg-type]


@dataclass
class Camera:
    """Delivers ``count`` frames, made by ``picture``, ``interval`` seconds apart, then closes."""

    name: str
    count: int
    picture: Callable[[int], np.ndarray]
    interval: float = 0.0
    state: SourceState = "connecting"
    trouble: str = ""
    _stopped: threading.Event = field(default_factory=threading.Event)
    _delivered: int = 0

    def start(self, deliver: Deliver) -> None:
        self.state = "running"
        self._thread = threading.Thread(target=self._run, args=(deliver,), daemon=True)
        self._thread.start()

    def _run(self, deliver: Deliver) -> None:
        for number in range(self.count):
            if self._stopped.wait(self.interval):
                break
            self._delivered += 1
            deliver(Frame(self.name, number, self.picture(number), time.time(), time.monotonic()))
        self.state = "closed"

    def stop(self, timeout: float = 5.0) -> None:
        self._stopped.set()
        self._thread.join(timeout)
        self.state = "closed"

    def counters(self) -> Mapping[str, float]:
        return {"frames": self._delivered, "reconnects": 0}


@dataclass
class Sink:
    """Remembers what it got; ``receive`` may block or raise."""

    name: str = "list"
    trouble: str = ""
    receive: Callable[[Result], None] = lambda result: None
    got: list[Result] = field(default_factory=list)
    stops: int = 0

    def start(self) -> None: ...

    def accept(self, result: Result) -> None:
        self.receive(result)
        self.got.append(result)

    def stop(self, timeout: float = 5.0) -> None:
        self.stops += 1

    def counters(self) -> Mapping[str, float]:
        return {"sent": len(self.got)}


def noise(number: int) -> np.ndarray:
    """A different picture for every number."""
    return np.random.default_rng(number).integers(0, 120, (24, 32, 3), dtype=np.uint8)


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Waits for a condition, and fails the test if it does not come true."""
    if not eventually(condition, seconds):
        pytest.fail("it did not happen in time")
