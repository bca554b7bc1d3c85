"""Events to a real HTTP receiver on loopback, which checks signatures and keys by itself."""

from __future__ import annotations

import logging
import socket
import time

import pytest

from patience import busy
from sharpline.line.sinks import delivery
from sharpline.line.sinks.config import SinkConfig, make_sink
from sharpline.line.sinks.event import Event
from sharpline.line.sinks.outbox_entries import OutboxError


@pytest.fixture
def webhook(outbox, receiver, request, monkeypatch):
    monkeypatch.setattr(delivery, "_FIRST", 0.02)

    def make(**settings):
        entry = {"url": receiver.url, "secret_env": "THE_SECRET", "on": ["each"], "timeout": "500ms"} | settings
        sink = make_sink(SinkConfig.model_validate({"webhook": entry}), outbox)
        request.addfinalizer(lambda: sink.stop(1.0))
        sink.start()
        return sink

    return make


def feed(sink, make_result, count, begin=0):
    """Results at the pace at which the disk takes them."""
    for k in range(begin, begin + count):
        sink.accept(make_result(k))
        while sink.counters()["queue"] > 4:
            time.sleep(0.002)


def test_events_arrive_whole_signed_once_and_in_order(webhook, receiver, make_result, wait_until) -> None:
    sink = webhook(pictures=["sr", "camera"], timeout="60s")  # a busy machine is no failure here
    feed(sink, make_result, 20)
    assert wait_until(lambda: len(receiver.taken) == 20), (sink.counters(), sink.trouble)
    assert [event["frame"] for event in receiver.taken] == list(range(20))
    assert receiver.forged == []
    assert receiver.repeats == 0
    for event in receiver.taken:
        assert set(Event.model_validate(event).pictures.model_fields_set) == {"sr", "camera"}
    assert wait_until(lambda: sink.counters()["outbox"] == 0)
    assert sink.counters() | {"queue": 0} == {
        "events": 20, "sent": 20, "failed": 0, "lost": 0, "queue": 0, "outbox": 0, "dead": 0,
    }  # fmt: skip
    assert sink.trouble == ""


def test_a_receiver_that_fails_in_every_way_gets_each_event_once_past_its_key(
    webhook, receiver, make_result, wait_until, answer
) -> None:
    receiver.script = [
        answer(500),
        answer(0),
        answer(503),
        answer(204, delay=0.8),
        answer(408),
        answer(425),
        answer(302),
    ]
    sink = webhook()
    feed(sink, make_result, 6)
    assert wait_until(lambda: len(receiver.ids) == 6 and sink.counters()["outbox"] == 0)
    assert [event["frame"] for event in receiver.taken if event["id"] in receiver.ids][-6:] == list(range(6))
    first = receiver.ids[0]
    assert [key for _, key, _ in receiver.asked[:8]] == [first] * 8, "the same key however often it is sent"
    assert receiver.repeats == 1, "the one whose answer came too late, under the same key"
    assert sink.counters()["lost"] == 0


def test_retry_after_is_obeyed(webhook, receiver, make_result, wait_until, answer) -> None:
    receiver.script = [answer(429, {"Retry-After": "1"})]
    feed(webhook(), make_result, 1)
    assert wait_until(lambda: receiver.taken)
    assert receiver.asked[1][0] - receiver.asked[0][0] >= 1.0


def test_a_receivers_cookies_are_not_collected(webhook, receiver, make_result, wait_until, answer) -> None:
    receiver.script = [answer(headers={"Set-Cookie": f"visit-{k}=1"}) for k in range(5)]
    sink = webhook()
    feed(sink, make_result, 5)
    assert wait_until(lambda: len(receiver.taken) == 5)
    assert len(sink._sender._session.cookies) == 0


def test_a_receiver_that_is_away_loses_nothing(webhook, receiver, make_result, wait_until) -> None:
    sink = webhook()
    feed(sink, make_result, 3)
    assert wait_until(lambda: len(receiver.taken) == 3)
    receiver.down()
    feed(sink, make_result, 10, begin=3)
    assert wait_until(lambda: "the connection failed; is the receiver running?" in sink.trouble)
    assert wait_until(lambda: sink.counters()["outbox"] == 10)
    receiver.up()
    assert wait_until(lambda: len(receiver.ids) == 13)
    assert [event["frame"] for event in receiver.taken] == list(range(13))
    assert wait_until(lambda: sink.trouble == "")


def test_a_refused_event_becomes_a_dead_letter_and_the_next_goes_on(
    webhook, receiver, make_result, wait_until, answer, outbox
) -> None:
    receiver.script = [answer(422), answer(422)]
    sink = webhook(tries=2)
    feed(sink, make_result, 2)
    assert wait_until(lambda: len(receiver.taken) == 1)
    assert receiver.taken[0]["frame"] == 1
    (letter,) = outbox.dead_letters()
    assert letter.reason.endswith("the receiver says 422 Unprocessable Entity")
    assert sink.counters()["dead"] == 1


def test_a_redirect_is_not_followed(webhook, receiver, make_result, wait_until, answer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.5)
        receiver.otherwise = answer(307, {"Location": f"http://127.0.0.1:{elsewhere.getsockname()[1]}/"})
        sink = webhook()
        feed(sink, make_result, 1)
        assert wait_until(lambda: "redirects are not followed" in sink.trouble)
        with pytest.raises(TimeoutError):
            elsewhere.accept()
    assert sink.counters()["outbox"] == 1


def test_without_a_secret_nothing_is_signed(webhook, receiver, make_result, wait_until) -> None:
    feed(webhook(secret_env=None), make_result, 1)
    assert wait_until(lambda: receiver.taken)
    assert len(receiver.forged) == 1


def test_the_secret_is_never_written_anywhere(
    webhook, receiver, make_result, wait_until, caplog, answer, tmp_path, capfd
) -> None:
    secret = b"a secret of the tests"
    receiver.script = [answer(500), answer(422)]
    with caplog.at_level(logging.DEBUG):
        sink = webhook()
        feed(sink, make_result, 1)
        assert wait_until(lambda: receiver.taken)
        receiver.down()
        feed(sink, make_result, 1, begin=1)
        assert wait_until(lambda: sink.trouble)
    said = caplog.text + "".join(capfd.readouterr()) + sink.trouble + sink.name + repr(vars(sink))
    assert secret.decode() not in said
    assert not any(secret in file.read_bytes() for file in tmp_path.glob("outbox*"))


def test_accept_returns_at_once_when_the_disk_is_slow_and_the_loss_is_said(
    webhook, make_result, outbox, monkeypatch, wait_until
) -> None:
    real = outbox.put
    monkeypatch.setattr(outbox, "put", lambda *event: (time.sleep(0.3), real(*event)))
    sink = webhook()
    results = [make_result(k) for k in range(20)]
    began = time.monotonic()
    for result in results:
        sink.accept(result)
    assert time.monotonic() - began < 0.25 * busy()
    counters = sink.counters()
    assert counters["lost"] >= 20 - 10
    assert "the disk does not keep up" in sink.trouble
    assert counters["lost"] + counters["queue"] + counters["events"] == 20


def test_a_full_disk_loses_events_with_an_alarm_and_the_line_goes_on(
    webhook, receiver, make_result, wait_until, outbox, monkeypatch
) -> None:
    """The full disk is an error put in the outbox's place; test_full_disk.py has a real one."""
    real = outbox.put

    def full(*_: object) -> None:
        raise OutboxError("outbox.sqlite: database or disk is full")

    sink = webhook()
    monkeypatch.setattr(outbox, "put", full)
    feed(sink, make_result, 3)
    assert wait_until(lambda: sink.counters()["lost"] == 3)
    assert "disk is full (3 events lost)" in sink.trouble
    monkeypatch.setattr(outbox, "put", real)
    feed(sink, make_result, 1, begin=3)
    assert wait_until(lambda: receiver.taken)
    assert sink.trouble == ""


def test_one_frame_that_cannot_be_described_does_not_end_the_events(webhook, receiver, make_result, wait_until) -> None:
    sink = webhook()
    sink.accept(make_result(0, model_hash="no hash"))
    feed(sink, make_result, 1, begin=1)
    assert wait_until(lambda: receiver.taken)
    assert sink.counters()["lost"] == 1


def test_stop_keeps_what_was_accepted(webhook, receiver, make_result, outbox) -> None:
    receiver.down()
    sink = webhook()
    for k in range(5):
        sink.accept(make_result(k))
    sink.stop(5.0)
    sink.stop(5.0)
    assert outbox.counts(sink.name)["waiting"] == 5
    sink.accept(make_result(9))
    assert sink.counters()["queue"] == 0
