"""Hands results to a receiver that may be slow, in a thread of its own: the line does not wait for it."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping

from sharpline.line.frame import Result
from sharpline.line.supervision import Seldom

_log = logging.getLogger(__name__)


class Handover:
    """A short queue before one receiver, and the thread that empties it.

    Live, the oldest result is dropped (and counted) when the queue is full, but one with an alarm only for another
    with an alarm; in replay :meth:`put` waits. What the receiver raises is counted and logged, and the next comes.

    Args:
        name: Of the receiver, for the log.
        receive: Called with one result after the other.
        live: Live, else replay.
        depth: Results that wait at most.

    Example:
        >>> got = []
        >>> handover = Handover("list", got.append, live=True, depth=2)
        >>> handover.start()
        >>> handover.stop()
        >>> handover.counters()
        {'handed': 0, 'skipped': 0, 'failed': 0, 'queue': 0}
    """

    def __init__(self, name: str, receive: Callable[[Result], None], *, live: bool, depth: int) -> None:
        self.name = name
        self._seldom = Seldom()
        self._receive, self._live, self._depth = receive, live, depth
        self._waiting: deque[Result] = deque()
        self._counted: Counter[str] = Counter(handed=0, skipped=0, failed=0)
        self._changed = threading.Condition()
        self._busy = self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"to {name}", daemon=True)

    def start(self) -> None:
        """Begins. Once."""
        self._thread.start()

    def put(self, result: Result) -> None:
        """Takes a result. Live it returns at once. After :meth:`stop` it counts it as skipped."""
        with self._changed:
            if not self._live:
                self._changed.wait_for(lambda: self._closed or len(self._waiting) < self._depth)
            if self._closed:
                self._counted["skipped"] += 1
                return
            self._waiting.append(result)
            if len(self._waiting) > self._depth:
                calm = (n for n, waiting in enumerate(self._waiting) if not waiting.alarms)
                del self._waiting[next(calm, 0)]
                self._counted["skipped"] += 1
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or self._waiting)
                if not self._waiting:
                    return
                result, self._busy = self._waiting.popleft(), True
                self._changed.notify_all()
            outcome = "handed"
            try:
                self._receive(result)
            except Exception as error:
                outcome = "failed"
                if self._seldom(repr(error)):
                    _log.exception("%s: could not take a frame of %s", self.name, result.frame.source)
            del result  # it is large, and the next may be long in coming
            with self._changed:
                self._counted[outcome] += 1

    def idle(self) -> bool:
        """Whether nothing waits and nothing is being received."""
        with self._changed:
            return not self._busy and not self._waiting

    def full(self) -> bool:
        """Whether the next result would push another out."""
        with self._changed:
            return len(self._waiting) >= self._depth

    def counters(self) -> Mapping[str, int]:
        """``handed``, ``skipped`` (dropped here), ``failed``, and ``queue``."""
        with self._changed:
            return {**self._counted, "queue": len(self._waiting)}

    def stop(self, timeout: float = 5.0) -> None:
        """Lets what waits be received, for so many seconds at most. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        with self._changed:
            self._counted["skipped"] += len(self._waiting)
            self._waiting.clear()
