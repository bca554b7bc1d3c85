"""Where frames wait for the upscaler. Nothing is lost here without being counted."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sharpline.line.frame import Frame

_RATE_MEMORY = 0.1  # weight of the newest interval in the mean


class Mailboxes:
    """One mailbox a camera; cameras are served in turn, so that a fast one cannot starve a slow one.

    Live, a mailbox holds the newest frame only: one that comes before the upscaler had time replaces the one that
    waits (dropped as ``busy``), and one that is older than the deadline when its turn comes is dropped as ``late``.
    In replay every frame is kept: :meth:`put` waits while the mailbox is full.

    Captured = taken + dropped + waiting, for each camera at every moment.

    Args:
        names: The cameras.
        live: Live, else replay.
        deadline: Age in seconds at which a frame is late (live only).
        depth: Frames that wait for one camera at most (replay only).

    Example:
        >>> import numpy as np
        >>> boxes = Mailboxes(["cam1"], live=True, deadline=1e9)
        >>> for number in range(3):
        ...     boxes.put(Frame("cam1", number, np.zeros((1, 1, 1), np.uint8), 0.0, clock=0.0))
        >>> frame = boxes.take(timeout=0)
        >>> frame.number, dict(frame.dropped)
        (2, {'busy': 2})
    """

    def __init__(self, names: Sequence[str], *, live: bool, deadline: float, depth: int = 4) -> None:
        self._live, self._deadline, self._depth = live, deadline, 1 if live else depth
        self._waiting: dict[str, deque[Frame]] = {name: deque() for name in names}
        self._turns = deque(names)
        self._counted: dict[str, Counter[str]] = {name: Counter() for name in names}
        self._untold: dict[str, Counter[str]] = {name: Counter() for name in names}  # for the next frame's ``dropped``
        self._interval: dict[str, float] = {}
        self._last_clock: dict[str, float] = {}
        self._changed = threading.Condition()
        self._closed = False

    def put(self, frame: Frame) -> None:
        """Takes a frame from a camera's thread. Live it returns at once; after :meth:`close` it drops."""
        with self._changed:
            box = self._waiting[frame.source]
            if not self._live:
                self._changed.wait_for(lambda: self._closed or len(box) < self._depth)
            self._counted[frame.source]["captured"] += 1
            self._note_rate(frame)
            if self._closed:
                self._drop(frame, "stopped")
                return
            if len(box) == self._depth:
                self._drop(box.popleft(), "busy")
            box.append(frame)
            self._changed.notify_all()

    def take(self, timeout: float) -> Frame | None:
        """The frame whose turn it is; None if none came in time.

        Its ``dropped`` is completed by what was lost here since the camera's frame before.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                frame = self._next()
                if frame is not None:
                    self._changed.notify_all()
                    return frame
                left = end - time.monotonic()
                if left <= 0 or self._closed:
                    return None
                self._changed.wait(left)

    def _next(self) -> Frame | None:
        for _ in range(len(self._turns)):
            name = self._turns[0]
            self._turns.rotate(-1)
            box = self._waiting[name]
            while box:
                frame = box.popleft()
                if self._live and time.monotonic() - frame.clock > self._deadline:
                    self._drop(frame, "late")
                    continue
                self._counted[name]["taken"] += 1
                untold, self._untold[name] = self._untold[name], Counter()
                return replace(frame, dropped=dict(untold + Counter(frame.dropped)))
        return None

    def lose(self, frame: Frame, reason: str) -> None:
        """A frame that was taken came to nothing after all: it counts as dropped."""
        with self._changed:
            self._counted[frame.source]["taken"] -= 1
            self._drop(frame, reason)

    def _drop(self, frame: Frame, reason: str) -> None:
        self._counted[frame.source][f"dropped_{reason}"] += 1
        self._untold[frame.source] += Counter({**frame.dropped, reason: frame.dropped.get(reason, 0) + 1})

    def _note_rate(self, frame: Frame) -> None:
        before = self._last_clock.get(frame.source)
        self._last_clock[frame.source] = frame.clock
        if before is None or frame.clock <= before:
            return
        interval = frame.clock - before
        mean = self._interval.get(frame.source, interval)
        self._interval[frame.source] = mean + _RATE_MEMORY * (interval - mean)

    def rate(self, name: str) -> float | None:
        """Frames a second that a camera delivers, a running mean; None before its second frame."""
        with self._changed:
            interval = self._interval.get(name)
        return None if interval is None else 1 / interval

    def active(self, within: float) -> int:
        """Cameras that delivered in the last so many seconds."""
        now = time.monotonic()
        with self._changed:
            return sum(now - clock <= within for clock in self._last_clock.values())

    def counters(self, name: str) -> Mapping[str, int]:
        """``captured``, ``taken``, ``waiting`` and ``dropped_<reason>`` of one camera."""
        with self._changed:
            return {"captured": 0, "taken": 0, "waiting": len(self._waiting[name]), **self._counted[name]}

    def close(self) -> None:
        """Wakes whoever waits; what waits is dropped as ``stopped``, and so is all that still comes."""
        with self._changed:
            self._closed = True
            for box in self._waiting.values():
                while box:
                    self._drop(box.popleft(), "stopped")
            self._changed.notify_all()
