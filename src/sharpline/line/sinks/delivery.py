"""Delivers the events of one destination, oldest first, until each is acknowledged."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Literal, Protocol

from sharpline.line.sinks.event import Parcel
from sharpline.line.sinks.outbox import Outbox
from sharpline.line.sinks.outbox_entries import Entry, OutboxError

_FIRST, _CAP = 0.5, 30.0  # seconds: backoff
_LONGEST = 3600.0  # seconds: what a receiver's Retry-After is believed
_LOOK = 5.0  # seconds: the outbox is looked at even if nobody calls


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt.

    Attributes:
        kind: ``delivered``; ``later``: it may work another time; ``refused``: it will not.
        why: One line for the operator; empty when delivered.
        after: Seconds that the receiver asks to wait, if it does.
    """

    kind: Literal["delivered", "later", "refused"]
    why: str = ""
    after: float | None = None


class Sender(Protocol):
    """The way to one receiver."""

    @property
    def trouble(self) -> str:
        """What is known to be wrong with the way though nothing may be to be sent, one line; empty otherwise."""

    def start(self) -> None:
        """Opens what it needs. Does not wait for the receiver."""

    def send(self, parcel: Parcel) -> Outcome:
        """One attempt, in bounded time."""

    def stop(self, timeout: float) -> None:
        """Closes it; a running attempt ends soon."""


class Delivery:
    """One thread for one destination.

    Backoff doubles from 0.5 to 30 s and is then drawn between its half and itself, so that many lines do not come
    back to a receiver at the same moment. Order is kept: an event that cannot be delivered yet holds back the later.
    """

    def __init__(self, outbox: Outbox, destination: str, sender: Sender, tries: int) -> None:
        self._outbox, self._destination, self._sender, self._tries = outbox, destination, sender, tries
        self._call, self._halt = threading.Event(), threading.Event()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name=f"deliver {destination}", daemon=True)
        self._settled = ""  # id of the event that was delivered last
        self._failures = 0  # in a row
        self._refusals = ("", 0)  # of the event of this id, so many
        self.sent = self.failed = self.buried = 0
        self.trouble = ""

    def start(self) -> None:
        """Begins to deliver. Once."""
        self._sender.start()
        self._thread.start()

    def call(self) -> None:
        """Says that there is something to deliver."""
        self._call.set()

    def stop(self, timeout: float) -> None:
        """Goes on while events are taken, ``timeout`` seconds at most; what is left stays in the outbox."""
        end = time.monotonic() + timeout
        self._deadline = end
        self._halt.set()
        self._call.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._sender.stop(max(0.5, end - time.monotonic()))
        if self._thread.is_alive():
            self._thread.join(0.5)

    def _run(self) -> None:
        while time.monotonic() < self._deadline:
            try:
                pause = self._step()
            except OutboxError as error:
                self.trouble = str(error)
                pause = 1.0
            if pause and self._halt.wait(pause):
                return

    def _step(self) -> float:
        """One attempt, or a wait for something to do; seconds to pause after it."""
        self._call.clear()
        entry = self._outbox.first(self._destination)
        if entry is None:
            if self._halt.is_set():
                self._deadline = 0.0
                return 0.0
            self._call.wait(_LOOK)
            return 0.0
        if entry.parcel.id != self._settled:  # else only its removal failed: it is not sent again
            outcome = self._attempt(entry.parcel)
            if outcome.kind != "delivered":
                return self._failed(entry, outcome)
            self.sent += 1
            self._settled = entry.parcel.id
        self._outbox.ack(entry.number)
        self._failures, self.trouble = 0, ""
        return 0.0

    def _attempt(self, parcel: Parcel) -> Outcome:
        try:
            return self._sender.send(parcel)
        except Exception as error:  # a fault of ours must not end the deliveries
            return Outcome("later", f"{type(error).__name__}: {error}")

    def _failed(self, entry: Entry, outcome: Outcome) -> float:
        self.failed += 1
        self._failures += 1
        self.trouble = outcome.why
        if outcome.kind == "refused":
            before = self._refusals[1] if self._refusals[0] == entry.parcel.id else 0
            self._refusals = (entry.parcel.id, before + 1)
            if before + 1 >= self._tries:
                self._outbox.bury(entry.number, outcome.why)
                self.buried += 1
                self._failures = 0
                return 0.0
        pause = backoff(self._failures)
        return pause if outcome.after is None else max(pause, min(outcome.after, _LONGEST))


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row.

    Example:
        >>> 0.25 <= backoff(1) <= 0.5, 15 <= backoff(50) <= 30
        (True, True)
    """
    longest = min(_CAP, _FIRST * 2.0 ** min(failures - 1, 16))
    return random.uniform(longest / 2, longest)
