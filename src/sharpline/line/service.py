"""Tells systemd how the line is (sd_notify): ready, alive, what limits it, stopping. Elsewhere it does nothing.

With ``WatchdogSec=`` in its unit, systemd ends and restarts a service that has not said for so long that it is alive;
a line whose upscaler hangs does not say it. See sd_notify(3) and sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

from sharpline.line.watch import Watch

_OFTENER = 3  # times that it says to be alive within the time after which it is given up


class Service:
    """This process as a service of systemd.

    Args:
        environment: As systemd starts a service: ``NOTIFY_SOCKET``, and ``WATCHDOG_USEC`` where it watches.

    Example:
        >>> Service({}).ready()
        False
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit = environment.get("WATCHDOG_USEC", "") if watched else ""
        self._pause = int(limit) / 1e6 / _OFTENER if limit.isdigit() else None
        self._beaten = float("-inf")
        self._said = ""

    def ready(self) -> bool:
        """The line runs. Whether anybody was told."""
        return self._say("READY=1")

    def beat(self, watch: Watch) -> None:
        """To be called a few times a second: says that the line is alive, unless it is stuck, and how it stands."""
        now, stuck = time.monotonic(), watch.stuck()
        due = self._pause is not None and not stuck and now - self._beaten >= self._pause
        if due and self._say("WATCHDOG=1"):
            self._beaten = now
        summary = watch.summary() if self._address else ""
        if summary != self._said and self._say(f"STATUS={summary}"):
            self._said = summary

    def stopping(self) -> None:
        """The line ends in order."""
        self._say("STOPPING=1")

    def _say(self, words: str) -> bool:
        if not self._address:
            return False
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
                way.setblocking(False)
                way.sendto(words.encode(), name)
        except OSError:  # nobody listens, or its queue is full: said again with the next beat
            return False
        return True
