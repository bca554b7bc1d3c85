"""One destination's deliveries: order, patience, dead letters."""

from __future__ import annotations

import threading
import time

import pytest

from patience import busy
from sharpline.line.sinks import delivery as module
from sharpline.line.sinks.delivery import Delivery, Outcome, backoff
from sharpline.line.sinks.event import Parcel
from sharpline.line.sinks.outbox_entries import OutboxError


class Scripted:
    """Answers by a script, then delivers."""

    def __init__(self, *script) -> None:
        self.script, self.sent, self.times = list(script), [], []

    def start(self) -> None:
        pass

    def send(self, parcel: Parcel) -> Outcome:
        self.sent.append(parcel.id)
        self.times.append(time.monotonic())
        outcome = self.script.pop(0) if self.script else Outcome("delivered")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def stop(self, timeout: float) -> None:
        pass


LATER = Outcome("later", "503")
REFUSED = Outcome("refused", "the receiver says 422")


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(module, "_FIRST", 0.02)


@pytest.fixture
def begin(outbox, request):
    def start(sender, count=5, tries=3):
        for k in range(count):
            outbox.put("a", Parcel(str(k), "{}", {}))
        delivery = Delivery(outbox, "a", sender, tries)
        request.addfinalizer(lambda: delivery.stop(1.0))
        delivery.start()
        return delivery

    return start


def waiting(outbox) -> int:
    return outbox.counts("a")["waiting"]


@pytest.mark.usefixtures("quick")
def test_what_fails_is_tried_again_and_the_order_stays(outbox, begin, wait_until) -> None:
    sender = Scripted(LATER, LATER, ConnectionError("a fault of ours"), Outcome("delivered"), LATER)
    delivery = begin(sender)
    assert wait_until(lambda: waiting(outbox) == 0)
    assert sender.sent == ["0"] * 4 + ["1", "1", "2", "3", "4"]
    assert (delivery.sent, delivery.failed, delivery.trouble) == (5, 4, "")


def test_the_pauses_double_up_to_the_cap_and_are_never_the_same() -> None:
    for failures, longest in ((1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 30.0), (1000, 30.0)):
        pauses = [backoff(failures) for _ in range(50)]
        assert longest / 2 <= min(pauses) <= max(pauses) <= longest
        assert len(set(pauses)) > 40


@pytest.mark.usefixtures("quick")
def test_a_receiver_that_asks_for_time_gets_it(outbox, begin, wait_until) -> None:
    sender = Scripted(Outcome("later", "429", after=0.6))
    begin(sender, count=1)
    assert wait_until(lambda: waiting(outbox) == 0)
    assert 0.6 <= sender.times[1] - sender.times[0] < 5


@pytest.mark.usefixtures("quick")
def test_what_is_refused_for_good_becomes_a_dead_letter_with_its_reason(outbox, begin, wait_until) -> None:
    sender = Scripted(REFUSED, LATER, REFUSED, REFUSED)
    delivery = begin(sender, count=2)
    assert wait_until(lambda: waiting(outbox) == 0)
    assert sender.sent == ["0"] * 4 + ["1"]
    ((letter,), counts) = outbox.dead_letters(), outbox.counts("a")
    assert (letter.id, letter.destination, letter.reason) == ("0", "a", "the receiver says 422")
    assert (counts["dead"], delivery.sent, delivery.buried) == (1, 1, 1)
    outbox.revive("a")
    delivery.call()
    assert wait_until(lambda: delivery.sent == 2)
    assert sender.sent[-1] == "0"


@pytest.mark.usefixtures("quick")
def test_refusals_are_counted_for_each_event(outbox, begin, wait_until) -> None:
    sender = Scripted(REFUSED, REFUSED, Outcome("delivered"), REFUSED, REFUSED)
    begin(sender, count=2)
    assert wait_until(lambda: waiting(outbox) == 0)
    assert outbox.dead_letters() == []


@pytest.mark.usefixtures("quick")
def test_an_event_whose_removal_fails_is_not_sent_again(outbox, begin, wait_until, monkeypatch) -> None:
    real, failures = outbox.ack, [OutboxError("the disk is full")] * 2

    def ack(number: int) -> None:
        if failures:
            raise failures.pop()
        real(number)

    monkeypatch.setattr(outbox, "ack", ack)
    sender = Scripted()
    begin(sender, count=2)
    assert wait_until(lambda: waiting(outbox) == 0)
    assert sender.sent == ["0", "1"]


@pytest.mark.usefixtures("quick")
def test_what_was_delivered_before_an_outbox_was_damaged_hides_no_event_of_the_new_one(
    outbox, begin, wait_until, monkeypatch
) -> None:
    """A new outbox gives the same numbers again, to other events."""
    real, damaged = outbox.ack, []

    def ack(number: int) -> None:
        if not damaged:
            damaged.append(number)
            real(number)
            outbox._writer.execute("DELETE FROM sqlite_sequence")
            outbox.put("a", Parcel("new", "{}", {}))
            assert outbox.first("a").number == number
            raise OutboxError("it was damaged; a new one was begun")
        real(number)

    monkeypatch.setattr(outbox, "ack", ack)
    sender = Scripted()
    begin(sender, count=1)
    assert wait_until(lambda: len(sender.sent) == 2 and waiting(outbox) == 0)
    assert sender.sent == ["0", "new"]


def test_stop_delivers_what_is_taken_and_leaves_the_rest(outbox, begin, wait_until) -> None:
    sender = Scripted(Outcome("delivered"), Outcome("delivered"), LATER)
    delivery = begin(sender)
    assert wait_until(lambda: len(sender.sent) == 3)
    began = time.monotonic()
    delivery.stop(5.0)
    assert time.monotonic() - began < 2 * busy()  # it does not sit a pause out
    assert waiting(outbox) == 3
    delivery.stop(5.0)  # twice does nothing


def test_stop_does_not_wait_for_a_receiver_that_hangs(outbox, begin, wait_until) -> None:
    release = threading.Event()
    sender = Scripted()
    sender.send = lambda parcel: (sender.sent.append(parcel.id), release.wait(20), Outcome("delivered"))[-1]
    delivery = begin(sender, count=1)
    assert wait_until(lambda: sender.sent)
    began = time.monotonic()
    delivery.stop(0.3)
    assert time.monotonic() - began < 2 * busy()
    assert waiting(outbox) == 1
    release.set()
