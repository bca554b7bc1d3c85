"""A receiver that is slow or fails holds nobody up."""

from __future__ import annotations

import threading
import time

from sharpline.line.flow.handover import Handover
from sharpline.line.frame import Result
from staged_line import result, until


def test_everything_arrives_in_order() -> None:
    got: list[int] = []
    way = Handover("list", lambda r: got.append(r.frame.number), live=False, depth=2)
    way.start()
    for number in range(100):
        way.put(result(number))
    way.stop()
    assert got == list(range(100))
    assert way.counters() == {"handed": 100, "skipped": 0, "failed": 0, "queue": 0}


def test_live_a_blocked_receiver_holds_nobody_up_and_what_it_misses_is_counted() -> None:
    gate, got = threading.Event(), []

    def receive(r: Result) -> None:
        gate.wait(20)
        got.append(r.frame.number)

    way = Handover("slow", receive, live=True, depth=2)
    way.start()
    way.put(result(0))
    until(lambda: way.counters()["queue"] == 0)
    begin = time.monotonic()
    for number in range(1, 50):
        way.put(result(number))
    assert time.monotonic() - begin < 10
    assert way.full()
    gate.set()
    way.stop()
    assert got == [0, 48, 49]
    assert way.counters() == {"handed": 3, "skipped": 47, "failed": 0, "queue": 0}


def test_an_alarm_is_skipped_last() -> None:
    gate, got = threading.Event(), []

    def receive(r: Result) -> None:
        gate.wait(20)
        got.append(r.frame.number)

    way = Handover("slow", receive, live=True, depth=1)
    way.start()
    way.put(result(0))
    until(lambda: way.counters()["queue"] == 0)
    way.put(result(1, alarms=("black",)))
    for number in range(2, 9):
        way.put(result(number))
    gate.set()
    way.stop()
    assert got == [0, 1]


def test_what_a_receiver_raises_is_counted_and_the_next_result_comes() -> None:
    got: list[int] = []

    def receive(r: Result) -> None:
        if r.frame.number % 2:
            raise OSError("disk full")
        got.append(r.frame.number)

    way = Handover("odd", receive, live=False, depth=1)
    way.start()
    for number in range(6):
        way.put(result(number))
    way.stop()
    assert got == [0, 2, 4]
    assert way.counters()["failed"] == 3


def test_stopping_does_not_wait_longer_than_told() -> None:
    gate = threading.Event()
    way = Handover("stuck", lambda r: gate.wait(30), live=True, depth=4)  # type: ignore[arg-type,return-value]
    way.start()
    for number in range(3):
        way.put(result(number))
    until(lambda: way.counters()["queue"] == 2)
    begin = time.monotonic()
    way.stop(timeout=0.2)
    way.stop(timeout=0.2)
    assert time.monotonic() - begin < 15
    assert way.counters()["skipped"] == 2
    way.put(result(9))
    assert way.counters()["skipped"] == 3
    gate.set()
