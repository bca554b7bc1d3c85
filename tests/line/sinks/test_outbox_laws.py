"""Laws of the outbox under any sequence of calls, reopenings and kills: nothing lost, order kept, budget kept."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sharpline.line.sinks.config import OutboxConfig
from sharpline.line.sinks.event import Parcel
from sharpline.line.sinks.outbox import Outbox
from sharpline.line.sinks.outbox_entries import OutboxError

BUDGET = 60_000
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # thousands of commits: each would wait for the disk
DESTINATIONS = st.sampled_from(["a", "b"])


class Laws(RuleBasedStateMachine):
    """The model: every event that was put, in order, as waiting or dead, until it is acknowledged or dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY)
        self.generation = 0
        self.outbox = self.opened()
        self.events: list[dict[str, object]] = []
        self.made = 0
        self.gone = 0

    @property
    def path(self) -> Path:
        return Path(self.folder.name) / f"outbox-{self.generation}.sqlite"

    def opened(self) -> Outbox:
        return Outbox(OutboxConfig(path=self.path).model_copy(update={"budget": BUDGET, "reserve": 0}))

    def of(self, destination: str, dead: bool = False) -> list[dict[str, object]]:
        return [event for event in self.events if event["to"] == destination and event["dead"] == dead]

    @rule(destination=DESTINATIONS, size=st.integers(0, 30_000))
    def put(self, destination: str, size: int) -> None:
        key, self.made = f"{self.made}", self.made + 1
        before = sum(self.outbox.counts(name)["dropped"] for name in "ab")
        self.outbox.put(destination, Parcel(key, "{}", {"sr": bytes(size), "camera": b"x"}))
        lost = sum(self.outbox.counts(name)["dropped"] for name in "ab") - before
        # Dead letters go first, then what has waited longest, and no more of them than the new one needs.
        present = {letter.id for letter in self.outbox.dead_letters()}
        self.events = [event for event in self.events if not event["dead"] or event["key"] in present]
        waiting = [event for event in self.events if not event["dead"]]
        assert not (lost and any(event["dead"] for event in self.events)), "a waiting one went before a dead letter"
        for event in waiting[:lost]:
            self.events.remove(event)
        self.gone += lost
        self.events.append({"key": key, "to": destination, "dead": False, "size": size})

    @rule(size=st.integers(BUDGET, 2 * BUDGET))
    def put_too_much(self, size: int) -> None:
        with pytest.raises(OutboxError, match="no room"):
            self.outbox.put("a", Parcel("large", "{}", {"sr": bytes(size)}))

    @rule(destination=DESTINATIONS)
    def ack(self, destination: str) -> None:
        entry = self.outbox.first(destination)
        if entry is not None:
            self.outbox.ack(entry.number)
            self.outbox.ack(entry.number)  # once more does nothing
            self.events.remove(self.of(destination)[0])

    @rule(destination=DESTINATIONS)
    def bury(self, destination: str) -> None:
        entry = self.outbox.first(destination)
        if entry is not None:
            self.outbox.bury(entry.number, "410 Gone")
            self.of(destination)[0]["dead"] = True

    @rule(destination=DESTINATIONS)
    def revive(self, destination: str) -> None:
        dead = self.of(destination, dead=True)
        assert self.outbox.revive(destination) == len(dead)
        for event in dead:
            event["dead"] = False

    @rule()
    def reopen(self) -> None:
        self.outbox.close()
        self.outbox = self.opened()

    @rule()
    def kill(self) -> None:
        """The files as a SIGKILL leaves them: whatever was written, nothing closed."""
        old = self.path
        self.generation += 1
        for ending in ("", "-wal"):
            shutil.copy(f"{old}{ending}", f"{self.path}{ending}")
        self.outbox.close()
        self.outbox = self.opened()

    @invariant()
    def nothing_is_lost_and_order_is_kept(self) -> None:
        for destination in "ab":
            waiting = self.of(destination)
            entry = self.outbox.first(destination)
            assert (None if entry is None else entry.parcel.id) == (waiting[0]["key"] if waiting else None)
            assert entry is None or len(entry.parcel.pictures["sr"]) == waiting[0]["size"]
            counts = self.outbox.counts(destination)
            assert (counts["waiting"], counts["dead"]) == (len(waiting), len(self.of(destination, dead=True)))
        letters = [letter.id for letter in self.outbox.dead_letters()]
        assert letters == [event["key"] for event in self.events if event["dead"]]
        assert self.outbox.bytes <= BUDGET

    def teardown(self) -> None:
        for destination in "ab":  # what waits comes out in the order in which it went in
            keys = []
            while (entry := self.outbox.first(destination)) is not None:
                keys.append(entry.parcel.id)
                self.outbox.ack(entry.number)
            assert keys == [event["key"] for event in self.of(destination)]
        self.outbox.close()
        self.folder.cleanup()


TestLaws = Laws.TestCase
TestLaws.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
