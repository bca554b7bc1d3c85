"""Which results become events."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sharpline.line.sinks.config import Triggers
from sharpline.line.sinks.trigger import Trigger


def causes(trigger, results):
    return [(occasion.cause if occasion else None) for occasion in map(trigger, results)]


def test_a_period_gives_one_event_each_time_and_does_not_drift(make_result) -> None:
    trigger = Trigger(Triggers(every="1s", on=[]))
    said = [k for k in range(100) if trigger(make_result(k, clock=k * 0.3)) is not None]
    assert len(said) == 30  # 29.7 s: one at the beginning, then one a second though frames come each 0.3 s


def test_a_camera_that_was_away_is_not_made_up_for(make_result) -> None:
    trigger = Trigger(Triggers(every="1s", on=[]))
    assert causes(trigger, [make_result(k, clock=t) for k, t in enumerate((0, 60, 60.5, 61))]) == [
        "every", "every", None, "every",
    ]  # fmt: skip


def test_the_beginning_of_an_alarm_is_said_at_once_and_what_lasts_after_the_gap(make_result) -> None:
    trigger = Trigger(Triggers(gap="1s"))
    present = [0, 1, 1, 1, 1, 1, 0, 1, 0]
    results = [make_result(k, clock=k * 0.4, alarms=("too blurred",) * on) for k, on in enumerate(present)]
    assert causes(trigger, results) == [None, "alarm", None, None, "alarm", None, None, "alarm", None]


def test_a_detection_is_an_event_and_an_alarm_weighs_more(make_result, scratch) -> None:
    trigger = Trigger(Triggers(every="1s"))
    results = [
        make_result(0, detections=(scratch,)),
        make_result(1, detections=(scratch,)),
        make_result(2, detections=(scratch,), alarms=("frozen",)),
    ]
    assert causes(trigger, results) == ["detection", None, "alarm"]


def test_sources_have_memories_of_their_own(make_result) -> None:
    trigger = Trigger(Triggers(every="1s", on=[]))
    results = [make_result(0), make_result(0, source="cam2"), make_result(1), make_result(1, source="cam2")]
    assert causes(trigger, results) == ["every", "every", None, None]


def test_an_event_names_what_was_dropped_since_the_one_before(make_result) -> None:
    trigger = Trigger(Triggers(every="1s", on=[]))
    dropped = ({"late": 1}, {"late": 2}, {"late": 1, "damaged": 3}, {})
    occasions = [trigger(make_result(k, clock=k * 0.6, dropped=lost)) for k, lost in enumerate(dropped)]
    assert [occasion.dropped for occasion in occasions if occasion] == [{"late": 1}, {"late": 3, "damaged": 3}]


def test_a_sink_that_would_never_send_is_refused() -> None:
    with pytest.raises(ValidationError, match="nothing would ever be sent"):
        Triggers(on=[])
