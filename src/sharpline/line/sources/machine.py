"""The one state machine behind every kind of source: connect, run, notice silence, reconnect, close."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sharpline.line.frame import Frame
from sharpline.line.parts import Deliver, SourceState
from sharpline.line.sources.camera import Camera, CameraError, Shot
from sharpline.line.sources.freshness import Freshness
from sharpline.line.sources.handle import Handle
from sharpline.line.sources.redact import one_line

_log = logging.getLogger(__name__)
_REASONS = ("damaged", "lost", "stale")
_FIRST = 0.25  # seconds before the first new attempt
_LONGEST = 1e6  # seconds; threads cannot wait for ever
_STEADY = 5.0  # a connection that held this long does not count as a failed attempt
_HANGING = 3  # handles that hang; each keeps a thread, and what it has opened


@dataclass(frozen=True)
class Patience:
    """How long a source waits, seconds.

    Attributes:
        connect: For an answer when connecting.
        silence: For the next picture; after half of it the state is ``stalled``, after all of it it reconnects.
        retry: At most between two attempts. The wait doubles from 0.25 s on, less up to a half by chance.
        lag: A picture that is later than this is not live: it is dropped as ``stale``. Infinite: all are taken.
    """

    connect: float = 5.0
    silence: float = 3.0
    retry: float = 10.0
    lag: float = 1.0


class Machine:
    """A source (see :class:`sharpline.line.parts.Source`) out of any :class:`~sharpline.line.sources.camera.Camera`.

    Reading happens in a thread a handle, so that a call that never returns blocks neither the state nor ``stop``: the
    handle is left behind and a fresh one made, as long as no more than three of them hang. ``deliver`` is called from
    one thread only, and may take its time: nothing is read ahead but one picture.

    Args:
        name: of the source.
        camera: makes a fresh handle.
        patience: all waits.
        ends: the end of the camera is the end of the source (a film, a folder that is replayed); otherwise it is a
            trouble and means to reconnect.
        fails: a failure is the end, too: for replays, which nobody repairs while they run.

    Example:
        >>> from sharpline.line.sources.pattern import PatternCamera
        >>> frames = []
        >>> camera = lambda: PatternCamera((32, 24), fps=None, frames=3)
        >>> source = Machine("test", camera, Patience(lag=math.inf), ends=True)
        >>> source.start(frames.append)
        >>> source.join(10)
        True
        >>> [frame.number for frame in frames], source.state
        ([0, 1, 2], 'closed')
    """

    def __init__(
        self,
        name: str,
        camera: Callable[[], Camera],
        patience: Patience,
        *,
        ends: bool = False,
        fails: bool = False,
    ) -> None:
        self.name = name
        self.state: SourceState = "connecting"
        self.trouble = ""
        self._camera = camera
        self._patience = patience
        self._ends, self._fails = ends, fails
        self._fresh = Freshness(patience.lag) if math.isfinite(patience.lag) else None
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._deliver: Deliver = lambda frame: None
        self._number = 0
        self._connections = 0
        self._left: list[Handle] = []  # behind, and hanging
        self._failures = 0
        self._last = 0.0  # when a live picture came
        self._pending: Counter[str] = Counter()  # since the frame before
        self._dropped: Counter[str] = Counter(dict.fromkeys(_REASONS, 0))

    def start(self, deliver: Deliver) -> None:
        """Begins to connect and to deliver, in a thread of its own. Once.

        Args:
            deliver: gets each :class:`Frame`.
        """
        if self._thread is not None or self._stopping:
            raise RuntimeError(f"{self.name}: a source is started once")
        self._deliver = deliver
        self._thread = threading.Thread(target=self._run, name=f"source {self.name}", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Closes the camera and ends the thread; nothing is delivered after. May be called twice.

        Args:
            timeout: seconds to wait for it.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is None:
            self.state = "closed"
        else:
            self.join(timeout)

    def join(self, timeout: float) -> bool:
        """Waits for the end of the source, ``timeout`` seconds at most; whether it has come."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return self.state == "closed"

    def counters(self) -> Mapping[str, float]:
        """``frames``, ``reconnects`` and ``dropped_<reason>`` since the start."""
        with self._changed:
            dropped = {f"dropped_{reason}": float(count) for reason, count in self._dropped.items()}
        return {"frames": float(self._number), "reconnects": float(max(0, self._connections - 1)), **dropped}

    def _run(self) -> None:
        try:
            while not self._stopping:
                began = time.monotonic()
                try:
                    self._session()
                    if self._ends or self._stopping:
                        return
                    self._complain("the camera ended its stream")
                except CameraError as error:
                    self._lose("damaged", error.damaged)
                    self._complain(str(error))
                if self._fails:
                    return
                self._failures = 0 if time.monotonic() > began + _STEADY else self._failures + 1
                self._pause()
        except Exception as error:  # not the camera's: whoever takes the frames has failed
            self._complain(f"{type(error).__name__}: {error}")
            _log.exception("%s: closed", self.name)
        finally:
            self.state = "closed"

    def _session(self) -> None:
        """One handle, from opening to the end of its stream, or until stopped.

        Raises:
            CameraError: it failed, or fell silent.
        """
        if self._fresh is not None:
            self._fresh.connected()
        handle = self._fresh_handle()
        try:
            self._connect(handle)
            self._follow(handle)
        finally:
            handle.leave()
            self._left.append(handle)

    def _fresh_handle(self) -> Handle:
        self._left = [handle for handle in self._left if handle.hangs()]
        if len(self._left) >= _HANGING:
            raise CameraError(f"{_HANGING} connections hang, in a driver or on a network drive; one has to end first")
        try:
            return Handle(self._camera, self._changed, self.name)
        except RuntimeError as error:  # the machine has no thread to give: perhaps it has one in a moment
            raise CameraError(str(error)) from None

    def _connect(self, handle: Handle) -> None:
        with self._changed:
            limit = min(self._patience.connect, _LONGEST)
            self._changed.wait_for(lambda: handle.opened or handle.over or self._stopping, limit)
            if handle.opened:
                self._connections += 1
                if math.isinf(self._patience.silence):  # nothing has to come: it runs
                    self._runs()
            elif not handle.over and not self._stopping:
                raise CameraError(f"no answer within {self._patience.connect:g} s")

    def _follow(self, handle: Handle) -> None:
        held: Shot | None = None  # a picture that is old if another follows at once
        self._last = time.monotonic()
        while True:
            shot = self._wait(handle, self._silence_left() if held is None or self._fresh is None else self._fresh.hold)
            if self._stopping:
                return
            if shot is not None:
                held = self._sift(held, shot)
            elif handle.over:
                if handle.trouble is not None:
                    raise CameraError(*handle.trouble)
                return
            elif held is not None:
                self._hand_on(held)
                held = None
            elif self._silence_left() <= 0:
                self._stall()

    def _wait(self, handle: Handle, seconds: float) -> Shot | None:
        with self._changed:
            self._changed.wait_for(lambda: handle.stirred() or self._stopping, max(0.0, min(seconds, _LONGEST)))
            return handle.take()

    def _silence_left(self) -> float:
        limit = self._patience.silence / (1 if self.state == "stalled" else 2)
        return self._last + limit - time.monotonic()

    def _stall(self) -> None:
        silent = time.monotonic() - self._last
        if silent >= self._patience.silence:
            what = {"stale": "old", "damaged": "damaged"}
            why = next((f": those that come are {word}" for reason, word in what.items() if self._pending[reason]), "")
            raise CameraError(f"no picture for {silent:.1f} s{why}")
        self.state = "stalled"

    def _sift(self, held: Shot | None, shot: Shot) -> Shot | None:
        """Hands on what is live; returns the picture of which that is not known yet."""
        for reason, count in shot.dropped.items():
            self._lose(reason, count)
        if shot.image is None:
            return held
        if self._fresh is None:
            self._hand_on(shot)
            return None
        alone = held is not None and shot.clock - held.clock >= self._fresh.hold
        verdict = self._fresh.judge(shot.clock, shot.media)
        if held is not None:
            self._hand_on(held) if alone else self._lose("stale", 1)
        if verdict == "fresh":
            self._hand_on(shot)
        elif verdict == "stale":
            self._lose("stale", 1)
        return shot if verdict == "unsure" else None

    def _hand_on(self, shot: Shot) -> None:
        age = time.monotonic() - shot.clock
        if age > self._patience.lag:  # this machine itself stood still
            self._lose("stale", 1)
            return
        if self._stopping or shot.image is None:
            return
        dropped, self._pending = dict(+self._pending), Counter()
        frame = Frame(self.name, self._number, shot.image, time.time() - age, shot.clock, dropped)
        self._number += 1
        self._runs()
        self._deliver(frame)
        self._last = time.monotonic()

    def _runs(self) -> None:
        if self.state != "running":
            _log.info("%s: running", self.name)
        self.state, self.trouble = "running", ""

    def _lose(self, reason: str, count: int) -> None:
        self._pending[reason] += count
        with self._changed:
            self._dropped[reason] += count

    def _complain(self, trouble: str) -> None:
        trouble = one_line(trouble)
        if trouble != self.trouble:  # not each attempt, when nothing has changed
            _log.warning("%s: %s", self.name, trouble)
        self.trouble = trouble

    def _pause(self) -> None:
        self.state = "reconnecting"
        seconds = min(self._patience.retry, _FIRST * 2 ** min(self._failures, 20)) * random.uniform(0.5, 1.0)
        with self._changed:
            self._changed.wait_for(lambda: self._stopping, seconds)
