"""A whole line with real threads, and what goes wrong in a factory."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from patience import PATIENCE, busy
from sharpline.errors import ModelError, UsageError
from sharpline.line.config import parse_line
from sharpline.line.frame import Detection, Result
from sharpline.line.parts import DetectorError
from sharpline.line.running import Line
from staged_line import Camera, Sink, noise, until


def config(**more: Any):
    flow = {"threads": 1, "deadline": "10s", "rate": 0.01, **more.pop("flow", {})}
    return parse_line({"model": "bicubic", "view": None, "flow": flow, **more})


REPLAY = {"mode": "replay"}


def test_replay_enlarges_every_frame_in_order_and_ends() -> None:
    sink = Sink()
    with Line(config(flow=REPLAY), sources=[Camera("cam1", 60, noise)], sinks=[sink]) as line:
        assert line.wait(PATIENCE)
        assert line.counters("cam1")["results"] == 60
    assert [result.frame.number for result in sink.got] == list(range(60))
    assert all(result.sr.shape == (96, 128, 3) and result.method == "bicubic" for result in sink.got)
    assert not any(result.frame.dropped for result in sink.got)
    assert line.stale_after is None
    assert sink.stops == 1


def test_replay_waits_for_a_slow_sink_rather_than_lose_a_frame() -> None:
    sink = Sink(receive=lambda result: time.sleep(0.02))
    with Line(config(flow=REPLAY), sources=[Camera("cam1", 30, noise)], sinks=[sink]) as line:
        assert line.wait(PATIENCE)
    assert [result.frame.number for result in sink.got] == list(range(30))


def test_a_source_that_floods_is_thinned_and_everything_is_counted() -> None:
    flood, calm = Camera("flood", 3000, noise), Camera("calm", 20, noise, interval=0.03)
    sink = Sink()
    with Line(config(), sources=[flood, calm], sinks=[sink]) as line:
        until(lambda: line.wait(0.05))
        counted = line.counters("flood")
        dropped = sum(value for key, value in counted.items() if key.startswith("dropped_"))
        assert counted["frames"] == 3000 == counted["results"] + dropped + counted["waiting"]
        assert counted["dropped_busy"] > 0
        calm_counted = line.counters("calm")
    told = sum(sum(r.frame.dropped.values()) for r in sink.got if r.frame.source == "flood")
    assert told <= dropped
    assert calm_counted["results"] > 0


def broken(monkeypatch: pytest.MonkeyPatch, line: Line, breaks: Any) -> None:
    """Has the line's model fail where ``breaks(number of the call)``."""
    calls = iter(range(10**9))
    model = line._enlarging._rungs[0]

    def enlarge(frame: Any) -> Any:
        if breaks(next(calls)):
            raise ModelError("out of order")
        return model.enlarge(frame)

    rungs = [replace(model, enlarge=enlarge), *line._enlarging._rungs[1:]]
    monkeypatch.setattr(line._enlarging, "_rungs", rungs)


def test_a_model_that_fails_once_costs_one_frame_its_sharpness_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    line = Line(config(flow=REPLAY), sources=[Camera("cam1", 20, noise)], sinks=[sink])
    broken(monkeypatch, line, lambda call: call == 7)
    with line:
        assert line.wait(PATIENCE)
        alarms = line.alarms()
    assert [result.frame.number for result in sink.got] == list(range(20))
    seventh = sink.got[7]
    assert (seventh.method, seventh.fallback, seventh.scale) == ("passthrough", True, 1)
    assert "bicubic failed: out of order" in seventh.alarms
    assert all(result.method == "bicubic" and not result.fallback for result in sink.got[:7] + sink.got[8:])
    assert [(alarm.kind, alarm.active) for alarm in alarms] == [("model", False)]


def test_a_model_that_goes_on_failing_is_left_and_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sink, healed = Sink(), threading.Event()
    camera = Camera("cam1", 10**6, noise, interval=0.01)
    line = Line(config(flow={"climb_after": "200ms"}), sources=[camera], sinks=[sink])
    broken(monkeypatch, line, lambda call: not healed.is_set())
    with line:
        until(lambda: any("bicubic" not in text for text in line.health()))
        assert "passthrough" in line.health()[0]
        healed.set()
        until(lambda: not line.health())
        until(lambda: sink.got[-1].method == "bicubic")
    assert sum(bool(result.alarms) for result in sink.got) < len(sink.got)


def test_a_camera_whose_region_is_wrong_does_not_take_the_model_from_the_others() -> None:
    cameras = [Camera("cam1", 10**6, noise, interval=0.05), Camera("cam2", 10**6, noise, interval=0.05)]
    asked = config(model="edge-s-x4", flow={"threads": 1, "deadline": "60s"})
    asked = asked.model_copy(update={"flow": asked.flow.model_copy(update={"regions": {"cam1": [(99, 0, 9, 9)]}})})
    with Line(asked, sources=cameras) as line:
        until(lambda: line.counters("cam1").get("results_by_bicubic", 0) > 12)
        until(lambda: line.counters("cam2").get("results_by_edge-s-x4", 0) > 3)
        assert line.health() == []
        (alarm,) = line.alarms()
        assert (alarm.source, alarm.kind) == ("cam1", "region")
        assert "[99, 0, 9, 9] lies outside the picture of 32 x 24" in alarm.text
    assert "results_by_edge-s-x4" not in line.counters("cam1")
    assert "results_by_bicubic" not in line.counters("cam2")


def test_without_any_fallback_a_failing_model_shows_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    line = Line(config(flow={**REPLAY, "ladder": []}), sources=[Camera("cam1", 5, noise)], sinks=[sink])
    broken(monkeypatch, line, lambda call: True)
    with line:
        assert line.wait(PATIENCE)
    assert [(r.method, r.fallback) for r in sink.got] == [("passthrough", True)] * 5


def test_a_sink_that_blocks_holds_up_neither_the_picture_nor_the_other_sink() -> None:
    gate = threading.Event()
    stuck, good = Sink("stuck", receive=lambda result: gate.wait(PATIENCE) and None), Sink("good")  # type: ignore[func-returns-value]
    camera = Camera("cam1", 10**6, noise, interval=0.01)
    with Line(config(), sources=[camera], sinks=[stuck, good]) as line:
        until(lambda: len(good.got) > 40)
        assert not stuck.got
        assert any("stuck" in text for text in line.health())
        assert line.queues()["stuck"]["skipped"] > 0
        until(lambda: line.live_result("cam1") is not None)
        gate.set()


def test_a_sink_that_raises_is_counted_and_still_served() -> None:
    def receive(result: Result) -> None:
        if result.frame.number % 2:
            raise RuntimeError("no")

    sink = Sink(receive=receive)
    with Line(config(flow=REPLAY), sources=[Camera("cam1", 10, noise)], sinks=[sink]) as line:
        assert line.wait(PATIENCE)
        assert line.queues()["list"]["raised"] == 5
    assert [result.frame.number for result in sink.got] == [0, 2, 4, 6, 8]


def test_the_log_says_when_a_receivers_trouble_begins_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="sharpline.line.watch")
    sink = Sink(name="webhook h/x")
    with Line(config(), sources=[Camera("cam1", 10**6, noise, interval=0.05)], sinks=[sink]) as line:
        until(lambda: sink.got)
        for trouble in ("h/x: the receiver says 500", "h/x: the receiver says 502", "", "h/x: away"):
            sink.trouble = trouble
            looked = line.watch._looked
            until(lambda: line.watch._looked > looked + 0.5)  # noqa: B023
    said = [record.getMessage() for record in caplog.records if record.name == "sharpline.line.watch"]
    assert said == [
        "webhook h/x: the receiver says 500",
        "webhook h/x: works again",
    ]


def test_events_that_were_refused_are_told_as_long_as_they_are_kept() -> None:
    sink = Sink(name="webhook h/x")
    sink.counters = lambda: {"sent": 5, "dead": 2}  # type: ignore[method-assign]
    with Line(config(), sources=[Camera("cam1", 10**6, noise, interval=0.05)], sinks=[sink]) as line:
        assert line.health() == ["webhook h/x: 2 events were refused; 'sharpline line outbox' shows them"]


def test_a_guard_that_raises_costs_a_frame_and_not_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    line = Line(config(), sources=[Camera("cam1", 10**6, noise, interval=0.01)], sinks=[sink])
    check, calls = line._enlarging._guard.check, iter(range(10**9))

    def raising(*given: Any) -> Any:
        if next(calls) == 3:
            raise ZeroDivisionError
        return check(*given)

    monkeypatch.setattr(line._enlarging._guard, "check", raising)
    with line:
        until(lambda: len(sink.got) > 10)
        assert "sharpline_upscaler_restarts 1.0" in line.metrics()
        assert line.counters("cam1")["dropped_failed"] == 1


def test_a_jump_of_the_wall_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sink, settings = Sink(), config(guard={"age": "60s"})
    with Line(settings, sources=[Camera("cam1", 10**6, noise, interval=0.01)], sinks=[sink]) as line:
        until(lambda: len(sink.got) > 5)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 1e7)
        count = len(sink.got)
        until(lambda: len(sink.got) > count + 10)
        monkeypatch.setattr(time, "time", lambda: real() - 1e7)
        count = len(sink.got)
        until(lambda: len(sink.got) > count + 10)
        until(lambda: line.live_result("cam1") is not None)
        assert not line.counters("cam1").get("dropped_late")
        assert not [alarm for alarm in line.alarms() if alarm.kind == "age"]


def test_an_old_result_is_not_live() -> None:
    settings = config(guard={"age": "300ms"})
    with Line(settings, sources=[Camera("cam1", 3, noise)]) as line:
        until(lambda: line.latest("cam1") is not None)
        until(lambda: line.live_result("cam1") is None)
        assert line.latest("cam1") is not None
    assert line.stale_after == 0.3


def test_a_source_that_stays_away_is_an_alarm_until_it_is_back() -> None:
    camera = Camera("cam1", 10**6, noise, interval=0.01)
    with Line(config(guard={"age": "60s"}), sources=[camera]) as line:
        until(lambda: line.latest("cam1") is not None)
        camera.state, camera.trouble = "reconnecting", "no route to host"
        until(lambda: bool(line.alarms()))
        assert line.alarms()[0].text == "reconnecting: no route to host"
        camera.state = "running"
        until(lambda: not line.alarms()[0].active)
        assert line.acknowledge(line.alarms()[0].number)
        assert not line.alarms()


BOX = Detection("scratch", 0.9, (1, 2, 3, 4), (0.25, 0.5, 0.75, 1))


class Finder:
    """A detector; what it does is told."""

    name = "finder"

    def __init__(self, act: Any = lambda number: None) -> None:
        self.act, self.closed = act, 0

    def detect(self, result: Result) -> Result:
        self.act(result.frame.number)
        return replace(result, detections=(BOX,))

    def close(self) -> None:
        self.closed += 1


def test_answers_of_the_detector_go_to_the_sinks_and_to_the_page() -> None:
    sink, finder = Sink(), Finder()
    with Line(config(flow=REPLAY), sources=[Camera("cam1", 12, noise)], sinks=[sink], detector=finder) as line:
        assert line.wait(PATIENCE)
        newest = line.latest("cam1")
    assert [result.frame.number for result in sink.got] == list(range(12))
    assert all(result.detections == (BOX,) for result in sink.got)
    assert newest is not None
    assert newest.detections == (BOX,)
    assert finder.closed == 1


def test_a_slow_detector_is_not_in_the_pictures_way() -> None:
    sink, finder = Sink(), Finder(lambda number: time.sleep(0.3))
    with Line(config(), sources=[Camera("cam1", 10**6, noise, 0.01)], sinks=[sink], detector=finder) as line:
        until(lambda: len(sink.got) >= 3)
        assert line.counters("cam1")["results"] > 2 * len(sink.got)
        assert line.queues()["detector finder"]["skipped"] > 0
        numbers = [result.frame.number for result in sink.got]
        newest = line.latest("cam1")
    assert numbers == sorted(set(numbers))
    assert all(result.detections for result in sink.got)
    assert newest is not None
    assert newest.frame.number > numbers[-1]
    assert newest.detections == (BOX,)  # of a moment ago


def test_a_detector_that_fails_is_an_alarm_and_the_results_go_on_without_it() -> None:
    def act(number: int) -> None:
        if number < 4:
            raise DetectorError("no answer within 2 s")

    sink = Sink()
    with Line(config(flow=REPLAY), sources=[Camera("cam1", 8, noise)], sinks=[sink], detector=Finder(act)) as line:
        assert line.wait(PATIENCE)
        alarms = line.alarms()
    assert [bool(result.detections) for result in sink.got] == [False] * 4 + [True] * 4
    assert [(alarm.text, alarm.active) for alarm in alarms] == [("finder: no answer within 2 s", False)]


def test_the_machine_too_slow_for_the_model_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    settings = config(flow={"rate": 20, "deadline": "1s"})
    line = Line(settings, sources=[Camera("cam1", 10**6, noise, 0.01)], sinks=[sink])
    model = line._enlarging._rungs[0]

    def slow(frame: Any) -> Any:
        time.sleep(0.1)
        return model.enlarge(frame)

    monkeypatch.setattr(line._enlarging, "_rungs", [replace(model, enlarge=slow), *line._enlarging._rungs[1:]])
    with line:
        until(lambda: bool(sink.got) and sink.got[-1].fallback)
        assert "passthrough" in line.health()[0]
        assert line.counters("cam1")["fallbacks"] > 0
        assert 'sharpline_results_by_total{method="passthrough",source="cam1"}' in line.metrics()
        assert "sharpline_rung 1.0" in line.metrics()


def test_somebody_who_looks_is_woken_and_one_who_raises_hurts_nobody() -> None:
    woken = threading.Event()
    with Line(config(), sources=[Camera("cam1", 10**6, noise, interval=0.02)]) as line:

        def raising() -> None:
            raise RuntimeError("browser gone")

        line.subscribe("cam1", raising)
        end = line.subscribe("cam1", woken.set)
        assert woken.wait(PATIENCE)
        end()
        end()
        time.sleep(0.1)
        woken.clear()
        time.sleep(0.2)
        assert not woken.is_set()
        until(lambda: line.counters("cam1")["results"] > 3)


def test_a_line_stops_in_time_with_everything_stuck() -> None:
    gate = threading.Event()
    sink = Sink(receive=lambda result: gate.wait(PATIENCE) and None)  # type: ignore[func-returns-value]
    camera = Camera("cam1", 10**6, noise)
    line = Line(config(), sources=[camera], sinks=[sink], detector=Finder(lambda number: gate.wait(PATIENCE)))
    line.start()
    until(lambda: line.latest("cam1") is not None)
    begin = time.monotonic()
    line.stop(timeout=0.5)
    line.stop(timeout=0.5)
    assert time.monotonic() - begin < 6 * busy()
    gate.set()


def test_a_line_without_a_source_is_refused() -> None:
    with pytest.raises(UsageError, match="source"):
        Line(config())


def test_a_part_that_lacks_something_is_refused() -> None:
    class Half:
        name = "half"

        def accept(self, result: Result) -> None: ...

    with pytest.raises(UsageError, match=r"^Half has no 'trouble': see sharpline\.line\.parts\.Sink$"):
        Line(config(), sources=[Camera("cam1", 1, noise)], sinks=[Half()])  # type: ignore[list-item]
    with pytest.raises(UsageError, match=r"Half has no 'detect'"):
        Line(config(), sources=[Camera("cam1", 1, noise)], detector=Half())  # type: ignore[arg-type]


def test_frames_and_results_cannot_be_written_to() -> None:
    sink = Sink()
    with Line(config(flow=REPLAY), sources=[Camera("cam1", 2, noise)], sinks=[sink]) as line:
        line.wait(PATIENCE)
    for result in sink.got:
        with pytest.raises(ValueError, match="read-only"):
            result.sr[0] = 0
        with pytest.raises(ValueError, match="read-only"):
            result.frame.image[0] = 0


def test_grey_and_16_bit_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    def picture(number: int) -> np.ndarray:
        dtype = np.uint16 if number % 2 else np.uint8
        return np.random.default_rng(number).integers(0, 200, (20, 20, 1)).astype(dtype)

    sink = Sink()
    settings = parse_line({"model": "edge-s-x4", "view": None, "flow": {"mode": "replay", "threads": 1}})
    with Line(settings, sources=[Camera("cam1", 4, picture)], sinks=[sink]) as line:
        assert line.wait(PATIENCE)
    assert [(r.sr.shape, r.sr.dtype.name, r.method) for r in sink.got] == [
        ((80, 80, 1), kind, "edge-s-x4") for kind in ("uint8", "uint16") * 2
    ]
    assert all(len(r.model_hash) == 64 and r.consistency is not None for r in sink.got)
