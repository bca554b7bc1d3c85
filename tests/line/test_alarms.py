"""An alarm stays until it is over and somebody has seen it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharpline.line.alarms import Alarms

KINDS = ["black", "frozen"]
STEP = st.one_of(st.frozensets(st.sampled_from(KINDS)), st.integers(1, 12))


@given(st.lists(STEP, max_size=40))
def test_what_is_listed_is_active_or_unseen(steps: list[frozenset[str] | int]) -> None:
    alarms, active, unseen, given = Alarms(), set(), set(), set()
    for step in steps:
        if isinstance(step, int):
            seen = {alarm.kind for alarm in alarms.listed() if alarm.number == step}
            assert alarms.acknowledge(step) == bool(seen)
            unseen -= seen
        else:
            unseen |= {kind for kind in step if kind not in active}
            active = set(step)
            alarms.update("cam1", dict.fromkeys(step, "text"), KINDS)
        listed = alarms.listed()
        given |= {alarm.number for alarm in listed}
        assert {alarm.kind for alarm in listed} == active | unseen
        assert all(alarm.active == (alarm.kind in active) for alarm in listed)
        assert all(alarm.acknowledged == (alarm.kind not in unseen) for alarm in listed)
        assert [alarm.number for alarm in listed] == sorted({alarm.number for alarm in listed})
    assert len(given) <= len(steps) * len(KINDS)


def test_a_camera_that_flickers_does_not_fill_the_list() -> None:
    alarms = Alarms()
    for _ in range(1000):
        alarms.update("cam1", {"black": "black"}, KINDS)
        alarms.update("cam1", {}, KINDS)
    assert len(alarms.listed()) == 1


def test_the_log_has_each_alarm_and_its_end_whether_or_not_anybody_has_seen_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", logger="sharpline.line.alarms")
    alarms = Alarms()
    for moment in (0.0, 1.0, 70.0):  # the second comes too soon after the first to be news
        monkeypatch.setattr("sharpline.line.alarms.time.monotonic", lambda moment=moment: moment)
        for _ in range(3):
            alarms.update("cam1", {"black": f"black at {moment:g}"}, KINDS)
        alarms.update("cam1", {}, KINDS)
    assert [record.getMessage() for record in caplog.records] == [
        "alarm: cam1: black at 0",
        "alarm is over: cam1: black at 0",
        "alarm: cam1: black at 70",
        "alarm is over: cam1: black at 70",
    ]


def test_kinds_that_were_not_looked_at_stay() -> None:
    alarms = Alarms()
    alarms.update("cam1", {"black": "black"}, ["black"])
    alarms.update("cam1", {}, ["source"])
    alarms.update("cam2", {}, ["black"])
    assert [alarm.active for alarm in alarms.listed()] == [True]


def test_the_text_is_the_newest_and_the_beginning_the_first() -> None:
    alarms = Alarms()
    alarms.update("cam1", {"frozen": "for 2 s"}, ["frozen"])
    first = alarms.listed()[0]
    alarms.update("cam1", {"frozen": "for 3 s"}, ["frozen"])
    second = alarms.listed()[0]
    assert (second.number, second.raised, second.text) == (first.number, first.raised, "for 3 s")
