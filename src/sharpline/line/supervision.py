"""A thread that does one thing again and again, and that no exception ends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence

_log = logging.getLogger(__name__)
_PAUSE = 0.2  # seconds after a failure, so that one that lasts does not take a core
_MINUTE = 60.0
_GRACE = 1.0  # seconds beyond its timeout that a stop may take before it is left behind


class Seldom:
    """Says whether a complaint is worth a line in the log: the same one is, once a minute.

    Example:
        >>> seldom = Seldom()
        >>> seldom("disk full"), seldom("disk full"), seldom("no route to host")
        (True, False, True)
    """

    def __init__(self) -> None:
        self._last = ("", 0.0)

    def __call__(self, text: str) -> bool:
        """Whether to log this text now."""
        now = time.monotonic()
        if text == self._last[0] and now - self._last[1] < _MINUTE:
            return False
        self._last = (text, now)
        return True


class Spells:
    """Says which spells of trouble are worth two lines in the log, at their beginning and end.

    One that comes and goes all the time is worth them once a minute.

    Example:
        >>> spells = Spells()
        >>> spells.begins("webhook", now=1.0), spells.begins("webhook", now=2.0), spells.ends("webhook")
        (True, False, True)
        >>> spells.begins("webhook", now=3.0), spells.ends("webhook"), spells.begins("webhook", now=61.0)
        (False, False, True)
    """

    def __init__(self) -> None:
        self._begun: dict[Hashable, float] = {}
        self._told: set[Hashable] = set()

    def begins(self, key: Hashable, now: float) -> bool:
        """There is trouble: whether to say so now."""
        if key in self._told or now - self._begun.get(key, -_MINUTE) < _MINUTE:
            return False
        self._begun[key] = now
        self._told.add(key)
        return True

    def ends(self, key: Hashable) -> bool:
        """There is none: whether that is news."""
        news = key in self._told
        self._told.discard(key)
        return news


class Loop:
    """Calls ``step`` until it is stopped. What ``step`` raises is logged and counted, then it is called again.

    Args:
        name: Of the thread.
        step: Returns within a fraction of a second.

    Example:
        >>> done = threading.Event()
        >>> loop = Loop("example", done.set)
        >>> loop.start()
        >>> done.wait(5)
        True
        >>> loop.stop()
        >>> loop.restarts
        0
    """

    def __init__(self, name: str, step: Callable[[], None]) -> None:
        self.name = name
        self.restarts = 0
        self.beat = time.monotonic()
        self._step, self._seldom = step, Seldom()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begins. Once."""
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._step()
            except Exception as error:
                self.restarts += 1
                if self._seldom(repr(error)):
                    _log.exception("%s failed and goes on", self.name)
                self._ended.wait(_PAUSE)
            self.beat = time.monotonic()

    def quiet_for(self) -> float:
        """Seconds since ``step`` last returned."""
        return time.monotonic() - self.beat

    def stop(self, timeout: float = 5.0) -> None:
        """Ends the thread after the step at hand. May be called twice."""
        self._ended.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)


def stop_all(stops: Sequence[Callable[[float], None]], timeout: float) -> None:
    """Stops several parts side by side; one that fails does not keep the others."""

    def quietly(stop: Callable[[float], None]) -> None:
        try:
            stop(timeout)
        except Exception:
            _log.exception("could not be stopped in order")

    threads = [threading.Thread(target=quietly, args=(stop,), daemon=True) for stop in stops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout + _GRACE)
