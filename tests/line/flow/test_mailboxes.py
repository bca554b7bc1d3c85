"""Nothing is lost in a mailbox without being counted, and nobody is starved."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpline.line.flow.mailboxes import Mailboxes
from staged_line import frame, until

NAMES = ["a", "b", "c"]
STEPS = st.lists(st.one_of(st.tuples(st.sampled_from(NAMES), st.booleans()), st.none()), max_size=60)


@given(STEPS)
def test_captured_is_taken_and_dropped_and_waiting_at_every_moment(steps: list[tuple[str, bool] | None]) -> None:
    boxes = Mailboxes(NAMES, live=True, deadline=5.0)
    captured: Counter[str] = Counter()
    told: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for step in steps:
        if step is None:
            got = boxes.take(timeout=0)
            if got is not None:
                taken[got.source] += 1
                told[got.source] += sum(got.dropped.values())
        else:
            name, old = step
            boxes.put(frame(name, captured[name], clock=time.monotonic() - (60 if old else 0)))
            captured[name] += 1
        for name in NAMES:
            counted = boxes.counters(name)
            dropped = sum(value for key, value in counted.items() if key.startswith("dropped_"))
            assert counted["captured"] == captured[name] == taken[name] + dropped + counted["waiting"]
            assert counted["taken"] == taken[name]
    for name in NAMES:  # what the frames themselves say adds up, too
        boxes.put(frame(name, captured[name]))
        last = boxes.take(timeout=0)
        while last is not None and last.source != name:
            told[last.source] += sum(last.dropped.values())
            taken[last.source] += 1
            last = boxes.take(timeout=0)
        assert last is not None
        assert taken[name] + told[name] + sum(last.dropped.values()) == captured[name]


def test_the_newest_frame_is_the_one_that_is_taken() -> None:
    boxes = Mailboxes(["a"], live=True, deadline=5.0)
    for number in range(4):
        boxes.put(frame("a", number))
    got = boxes.take(timeout=0)
    assert got is not None
    assert (got.number, got.dropped) == (3, {"busy": 3})
    assert boxes.take(timeout=0) is None


def test_what_a_camera_lost_travels_on_when_its_frame_is_dropped() -> None:
    boxes = Mailboxes(["a"], live=True, deadline=5.0)
    lossy = frame("a", 0)
    object.__setattr__(lossy, "dropped", {"damaged": 2})
    boxes.put(lossy)
    boxes.put(frame("a", 1))
    got = boxes.take(timeout=0)
    assert got is not None
    assert got.dropped == {"damaged": 2, "busy": 1}


def test_a_late_frame_is_dropped_as_late_whatever_the_wall_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = Mailboxes(["a"], live=True, deadline=0.5)
    boxes.put(frame("a", 0, clock=time.monotonic() - 1))
    assert boxes.take(timeout=0) is None
    assert boxes.counters("a")["dropped_late"] == 1
    monkeypatch.setattr(time, "time", lambda: 4e9)
    boxes.put(frame("a", 1))
    got = boxes.take(timeout=0)
    assert got is not None
    assert got.dropped == {"late": 1}


def test_a_fast_camera_does_not_starve_a_slow_one() -> None:
    boxes = Mailboxes(["fast", "slow"], live=True, deadline=60)
    order = []
    for number in range(20):
        boxes.put(frame("fast", number))
        if number % 4 == 0:
            boxes.put(frame("slow", number))
        got = boxes.take(timeout=0)
        assert got is not None
        order.append(got.source)
    assert order.count("slow") == 5
    assert boxes.counters("slow").get("dropped_busy", 0) == 0


def test_replay_keeps_every_frame_and_makes_the_source_wait() -> None:
    boxes = Mailboxes(["a"], live=False, deadline=0.001, depth=2)
    feeder = threading.Thread(target=lambda: [boxes.put(frame("a", n, clock=0.0)) for n in range(50)], daemon=True)
    feeder.start()
    until(lambda: boxes.counters("a")["waiting"] == 2)
    time.sleep(0.05)
    assert boxes.counters("a")["captured"] <= 3
    got = [boxes.take(timeout=5) for _ in range(50)]
    assert [one.number for one in got if one is not None] == list(range(50))
    assert not any(one.dropped for one in got if one is not None)


def test_closing_frees_a_source_that_waits_and_counts_what_it_brings() -> None:
    boxes = Mailboxes(["a"], live=False, deadline=1, depth=1)
    feeder = threading.Thread(target=lambda: [boxes.put(frame("a", n)) for n in range(3)], daemon=True)
    feeder.start()
    until(lambda: boxes.counters("a")["waiting"] == 1)
    boxes.close()
    feeder.join(5)
    assert not feeder.is_alive()
    assert boxes.counters("a")["dropped_stopped"] == boxes.counters("a")["captured"] == 3
    assert boxes.take(timeout=5) is None


@settings(deadline=None)
@given(st.floats(0.01, 1.0))
def test_the_rate_is_the_cameras(interval: float) -> None:
    boxes = Mailboxes(["a"], live=True, deadline=60)
    assert boxes.rate("a") is None
    for number in range(10):
        boxes.put(frame("a", number, clock=1000 + number * interval))
    assert boxes.rate("a") == pytest.approx(1 / interval, rel=1e-6)
