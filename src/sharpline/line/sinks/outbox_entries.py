"""What lies in the outbox, and what can be wrong with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sharpline.line.sinks.event import Parcel

Place = tuple[str, bool]  # destination, whether it is a dead letter


class OutboxError(Exception):
    """The disk did not take it; one line for the operator."""


class RenewedError(OutboxError):
    """The file was damaged; there is a new, empty one."""


@dataclass(frozen=True)
class Entry:
    """A parcel in the outbox and its number there; numbers rise."""

    number: int
    parcel: Parcel


@dataclass(frozen=True)
class DeadLetter:
    """An event that its receiver refused."""

    number: int
    destination: str
    id: str
    made: float
    reason: str


class Changes:
    """What a transaction will have changed."""

    def __init__(self) -> None:
        self.counts: Counter[Place] = Counter()
        self.dropped: Counter[str] = Counter()
        self.bytes = 0

    def add(self, where: Place, size: int) -> None:
        """One more event of this size."""
        self.counts[where] += 1
        self.bytes += size
