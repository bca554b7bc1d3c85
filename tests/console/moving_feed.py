"""A line that needs no camera: a feed whose pictures the test makes, one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sharpline.line.frame import Detection, Frame, Result

SCALE = 4
HASH = "5f" * 32


@dataclass(frozen=True)
class Settings:
    host: str = "127.0.0.1"
    port: int = 0
    token_env: str | None = None
    certificate: object = None
    key: object = None
    quality: int = 90


@dataclass(frozen=True)
class Alarm:
    number: int
    source: str
    text: str
    raised: float
    active: bool = True
    acknowledged: bool = False


def frame_of(number: int, size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """A grey ramp with a bright bar that moves: red in the camera's picture, so that the sides can be told apart."""
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    image[:, :, 0] = 150
    image[:, :, 1] = np.linspace(20, 120, width, dtype=np.uint8)
    image[:, :, 2] = np.linspace(10, 90, height, dtype=np.uint8)[:, None]
    at = number * 7 % (width - 12)
    image[:, at : at + 12] = (240, 230, 40)
    return image


def sr_of(image: np.ndarray) -> np.ndarray:
    """The camera's picture four times as large, red and blue exchanged, with a pattern that only exact pixels keep."""
    sr = np.ascontiguousarray(image[:, :, ::-1].repeat(SCALE, 0).repeat(SCALE, 1))
    sr[1::4, ::3, 1] ^= 0x55
    return sr


class MovingFeed:
    """Fits ``Feed``. ``give`` makes and hands on one picture; with ``run`` a thread does that all the time."""

    stale_after: float | None = 3.0

    def __init__(self, names: tuple[str, ...] = ("cam1",)) -> None:
        self.names = names
        self.results: dict[str, Result] = {}
        self.states = dict.fromkeys(names, "running")
        self.troubles = dict.fromkeys(names, "")
        self.alarm_list: list[Alarm] = []
        self.limits: tuple[str, ...] = ()
        self.latencies: list[float] = []
        self.extra: dict[str, object] = {}
        self.numbers = dict.fromkeys(names, 0)
        self.size = (120, 160)
        self._wakes: dict[str, list[Callable[[], None]]] = {name: [] for name in names}
        self._stop = threading.Event()
        self._paused = threading.Event()
        self._thread: threading.Thread | None = None

    # -- what a test does --

    def give(self, name: str | None = None, **changes: object) -> Result:
        name = name or self.names[0]
        number = self.numbers[name]
        self.numbers[name] += 1
        image = frame_of(number, self.size)
        now = time.monotonic()
        frame = Frame(name, number, image, captured=time.time(), clock=now)
        result = Result(frame, sr_of(image), SCALE, "edge-s-x4", HASH, False, 0.012, now, consistency=1.4)
        result = replace(result, **{**self.extra, **changes})
        self.results[name] = result
        self.wake(name)
        return result

    def wake(self, name: str) -> None:
        for wake in list(self._wakes[name]):
            wake()

    def run(self, rate: float = 25.0) -> None:
        def work() -> None:
            while not self._stop.wait(1 / rate):
                if not self._paused.is_set():
                    for name in self.names:
                        if self.states[name] == "running":
                            self.give(name)

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def pause(self, paused: bool = True) -> None:
        (self._paused.set if paused else self._paused.clear)()

    def close(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(2)

    def watched(self) -> int:
        return sum(map(len, self._wakes.values()))

    # -- what the page does --

    def subscribe(self, source: str, wake: Callable[[], None]) -> Callable[[], None]:
        self._wakes[source].append(wake)

        def end() -> None:
            if wake in self._wakes[source]:
                self._wakes[source].remove(wake)

        return end

    def latest(self, source: str) -> Result | None:
        return self.results.get(source)

    def state(self, source: str) -> str:
        return self.states[source]

    def trouble(self, source: str) -> str:
        return self.troubles[source]

    def counters(self, source: str) -> dict[str, float]:
        number = self.numbers[source]
        return {"frames": number, "results": number, "reconnects": 2, "dropped_late": 5, "dropped_damaged": 1}

    def alarms(self) -> list[Alarm]:
        return list(self.alarm_list)

    def acknowledge(self, number: int) -> bool:
        known = [alarm for alarm in self.alarm_list if alarm.number == number]
        self.alarm_list = [replace(a, acknowledged=True) if a.number == number else a for a in self.alarm_list]
        return bool(known)

    def shown(self, source: str, seconds: float) -> None:
        self.latencies.append(seconds)

    def health(self) -> tuple[str, ...]:
        return self.limits

    def metrics(self) -> str:
        return "# TYPE sharpline_frames_total counter\nsharpline_frames_total 3\n"


def boxed(label: str = "scratch", score: float = 0.93) -> Detection:
    return Detection(label, score, (80.0, 80.0, 240.0, 200.0), (20.0, 20.0, 60.0, 50.0))
