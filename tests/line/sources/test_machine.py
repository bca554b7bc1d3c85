import gc
import math
import threading
import time
import weakref

import numpy as np
import pytest

from patience import PATIENCE, busy, eventually
from sharpline.line.sources.camera import CameraError, Shot
from sharpline.line.sources.machine import Machine, Patience

QUICK = Patience(connect=0.3, silence=0.4, retry=0.2, lag=math.inf)
CALM = Patience(silence=PATIENCE, retry=0.2, lag=math.inf)  # a camera that hangs has simply nothing more to say
IMAGE = np.zeros((2, 3, 1), np.uint8)


class Script:
    """A camera that acts out a list: a number is a picture of that value, an exception is raised, a function called."""

    def __init__(self, *acts, opening=None):
        self.acts, self.opening, self.closed = list(acts), opening, False
        self.freed = threading.Event()

    def open(self):
        if self.opening:
            self.opening(self)

    def read(self):
        act = self.acts.pop(0) if self.acts else None
        if isinstance(act, Exception):
            raise act
        if callable(act):
            act = act(self)
        return act if act is None or isinstance(act, Shot) else Shot(IMAGE + np.uint8(act), time.monotonic())

    def interrupt(self):
        pass

    def close(self):
        self.closed = True


def hang(camera):
    camera.freed.wait()


class Cameras:
    """Makes the scripted cameras one after the other, the last one again and again."""

    def __init__(self, *scripts):
        self.scripts, self.made = scripts, []

    def __call__(self):
        camera = self.scripts[min(len(self.made), len(self.scripts) - 1)]()
        self.made.append(camera)
        return camera

    def free(self):
        for camera in self.made:
            camera.freed.set()


class Forgetful(list):
    """Keeps nothing: what is still there is kept by somebody else."""

    def append(self, item):
        pass


@pytest.fixture
def run():
    """Starts a machine on cameras; gives it and the list its frames go to."""
    started = []

    def start(*scripts, patience=QUICK, **options):
        cameras, frames = Cameras(*scripts), []
        machine = Machine("cam", cameras, patience, **options)
        started.append((machine, cameras))
        machine.start(frames.append)
        return machine, cameras, frames

    yield start
    for machine, cameras in started:
        machine.stop()
        cameras.free()


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (None, "ended its stream"),
        (CameraError("cable"), "cable"),
        (ValueError("odd"), "ValueError: odd"),
        (hang, "no picture for 0.4 s"),
    ],
)
def test_end_error_and_silence_all_mean_a_fresh_handle(run, last, words):
    machine, cameras, frames = run(lambda: Script(1, 2, last), lambda: Script(3, hang))
    troubles = set()
    assert eventually(lambda: troubles.add(machine.trouble) or len(frames) >= 3)
    assert [int(frame.image[0, 0, 0]) for frame in frames[:3]] == [1, 2, 3]
    assert [frame.number for frame in frames[:3]] == [0, 1, 2], "numbers go on over reconnects"
    assert any(words in trouble for trouble in troubles)
    assert cameras.made[0] is not cameras.made[1]
    assert machine.counters()["reconnects"] >= 1


def test_it_is_said_that_all_pictures_come_damaged(run):
    def hurt(camera):
        time.sleep(0.02)
        camera.acts.append(hurt)
        return Shot(None, 0.0, dropped={"damaged": 1})

    machine, _, _frames = run(lambda: Script(1, hurt))
    troubles = set()
    assert eventually(lambda: troubles.add(machine.trouble) or any("come are damaged" in text for text in troubles))


def test_a_camera_that_does_not_answer_is_left_behind(run):
    machine, cameras, frames = run(lambda: Script(opening=hang), lambda: Script(7, hang))
    troubles = set()
    assert eventually(lambda: troubles.add(machine.trouble) or len(frames) >= 1)
    assert "no answer within 0.3 s" in troubles
    cameras.made[0].freed.set()
    assert eventually(lambda: cameras.made[0].closed), "it is closed when it comes back at last"
    assert {int(frame.image[0, 0, 0]) for frame in frames} == {7}


def test_what_a_left_camera_reads_later_is_not_delivered(run):
    def late(camera):
        camera.freed.wait()
        camera.acts.append(late)  # it would go on for ever
        return 250

    _machine, cameras, frames = run(lambda: Script(1, late), lambda: Script(*range(2, 60), hang))
    assert eventually(lambda: len(frames) >= 3)
    cameras.made[0].freed.set()
    assert eventually(lambda: cameras.made[0].closed)
    assert 250 not in [int(frame.image[0, 0, 0]) for frame in frames[:20]]


def test_no_more_than_three_hang_and_it_goes_on_when_they_are_done(run, threads, monkeypatch):
    monkeypatch.setattr("sharpline.line.sources.machine._FIRST", 0.01)
    monkeypatch.setattr("sharpline.line.sources.handle.Handle.leave.__defaults__", (0.01,))
    hung = [lambda: Script(opening=hang)] * 3
    machine, cameras, frames = run(*hung, lambda: Script(7, hang), patience=Patience(0.05, 0.1, 0.05, math.inf))
    assert eventually(lambda: "3 connections hang" in machine.trouble)
    time.sleep(0.5)  # of ten attempts
    assert len(cameras.made) == 3
    assert len(threads()) == 4
    assert machine.state == "reconnecting"
    cameras.made[1].freed.set()
    assert eventually(lambda: [int(frame.image[0, 0, 0]) for frame in frames] == [7])


def test_a_machine_without_a_thread_to_give_is_tried_again(run, monkeypatch):
    def none(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("sharpline.line.sources.machine.Handle", none)
    machine, _, frames = run(lambda: Script(1, hang))
    assert eventually(lambda: "can't start new thread" in machine.trouble)
    assert machine.state != "closed"
    monkeypatch.undo()
    assert eventually(lambda: len(frames) == 1)


@pytest.mark.parametrize("last", [None, CameraError("cable"), ValueError("odd")], ids=["end", "trouble", "fault"])
def test_reconnects_leave_nothing_behind(run, monkeypatch, last):
    """Without Python's collector: it comes seldom, and what it finds would be a picture for each reconnect."""
    monkeypatch.setattr("sharpline.line.sources.machine._FIRST", 0.001)
    pictures = []

    def shot(camera):
        image = np.zeros((480, 640, 3), np.uint8)
        pictures.append(weakref.ref(image))
        return Shot(image, time.monotonic())

    def read(camera):
        shown = shot(camera)
        if isinstance(last, Exception):
            raise type(last)(*last.args)  # a fresh one, with this picture in its frame
        del shown

    def one():
        script = Script(1, read)
        handles.append(weakref.ref(script))
        return script

    handles = []
    gc.collect()
    gc.disable()
    try:
        machine, cameras, frames = run(one)
        cameras.made = Forgetful()
        assert eventually(lambda: len(handles) > 30)
        machine.stop()
        frames.clear()
        assert sum(ref() is not None for ref in handles[:-2]) == 0
        assert sum(ref() is not None for ref in pictures[:-2]) == 0
    finally:
        gc.enable()


def test_states_on_the_way(run, monkeypatch):
    seen = []

    def note(machine, name, value):
        object.__setattr__(machine, name, value)
        if name == "state" and seen[-1:] != [value]:
            seen.append(value)

    monkeypatch.setattr(Machine, "__setattr__", note, raising=False)
    machine, _, _frames = run(lambda: Script(1, hang), lambda: Script(opening=hang))
    assert eventually(lambda: "reconnecting" in seen)
    assert seen[:4] == ["connecting", "running", "stalled", "reconnecting"]
    machine.stop()
    assert machine.state == "closed"


def test_stop_returns_in_time_whatever_hangs(run):
    for script in (lambda: Script(opening=hang), lambda: Script(1, hang)):
        machine, _, frames = run(script, patience=Patience(connect=60, silence=60, lag=math.inf))
        time.sleep(0.1)
        began = time.monotonic()
        machine.stop()
        assert time.monotonic() - began < 4 * busy()
        assert machine.state == "closed"
        count = len(frames)
        machine.stop()
        assert len(frames) == count


def test_stop_before_start_and_in_the_pause():
    machine = Machine("cam", Cameras(lambda: Script(CameraError("no"))), Patience())
    machine.stop()
    assert machine.state == "closed"
    machine = Machine("cam", Cameras(lambda: Script(CameraError("no"))), Patience())
    machine._failures = 10  # a pause of five seconds at least
    machine.start(lambda frame: None)
    assert eventually(lambda: machine.state == "reconnecting")
    began = time.monotonic()
    machine.stop()
    assert time.monotonic() - began < 4
    assert machine.state == "closed"
    assert machine.trouble == "no"


def test_no_thread_is_left(threads):
    machine = Machine("cam", Cameras(lambda: Script(*range(9))), QUICK)
    machine.start(lambda frame: None)
    time.sleep(0.3)
    machine.stop()
    assert eventually(lambda: not threads())


def test_the_wait_doubles_up_to_its_cap(monkeypatch):
    waits = []
    machine = Machine("cam", Cameras(lambda: Script(CameraError("no"))), Patience(retry=10))
    monkeypatch.setattr(machine._changed, "wait_for", lambda condition, timeout=None: waits.append(timeout))
    for machine._failures in range(1, 40):
        machine._pause()
    for failures, wait in enumerate(waits, 1):
        assert min(10, 0.25 * 2**failures) / 2 <= wait <= min(10, 0.25 * 2**failures)
    assert len({round(wait, 6) for wait in waits[10:]}) > 5, "chance keeps cameras from coming back in step"


def test_losses_are_counted_and_said_on_the_next_frame(run):
    loss = Shot(None, 0.0, dropped={"damaged": 2})
    shot = Shot(IMAGE, 0.0, dropped={"damaged": 1, "lost": 4})
    first = lambda: Script(1, loss, shot, 5, CameraError("half", damaged=1))  # noqa: E731
    machine, _, frames = run(first, lambda: Script(6, hang), patience=CALM)
    assert eventually(lambda: len(frames) == 4)
    assert [dict(frame.dropped) for frame in frames] == [{}, {"damaged": 3, "lost": 4}, {}, {"damaged": 1}]
    assert machine.counters() == {
        "frames": 4,
        "reconnects": 1,
        "dropped_damaged": 4,
        "dropped_lost": 4,
        "dropped_stale": 0,
    }


def test_pictures_from_before_are_not_live(run):
    old = lambda camera: Shot(IMAGE + np.uint8(7), time.monotonic() - 2.0)  # noqa: E731
    fresh = lambda camera: time.sleep(0.06) or 1  # noqa: E731
    machine, _, frames = run(
        lambda: Script(*[fresh] * 8, *[old] * 3, *[fresh] * 8, hang), patience=Patience(silence=5, lag=1.0)
    )
    assert eventually(lambda: machine.counters()["frames"] >= 6)
    time.sleep(0.3)
    assert {int(frame.image[0, 0, 0]) for frame in frames} == {1}
    assert machine.counters()["dropped_stale"] >= 3


def test_a_slow_taker_is_not_silence_of_the_camera():
    """In a replay the taker may hold up the source for as long as it likes."""
    gate, frames = threading.Event(), []
    machine = Machine("film", Cameras(lambda: Script(*range(5))), QUICK, ends=True)
    machine.start(lambda frame: (gate.wait(), frames.append(frame)))
    assert eventually(lambda: machine.state == "running")
    time.sleep(1.2)
    assert machine.state == "running"
    gate.set()
    assert machine.join(PATIENCE)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [0, 1, 2, 3, 4]


def test_a_replay_ends_with_its_trouble(run):
    machine, cameras, _ = run(lambda: Script(CameraError("no such file")), ends=True, fails=True)
    assert machine.join(PATIENCE)
    assert (machine.state, machine.trouble, len(cameras.made)) == ("closed", "no such file", 1)


def test_troubles_are_one_line_without_passwords(run):
    machine, _, _ = run(lambda: Script(CameraError("rtsp://me:secret@cam/1\n  refused " + "x" * 1000)))
    assert eventually(lambda: machine.trouble != "")
    assert "secret" not in machine.trouble
    assert "\n" not in machine.trouble
    assert len(machine.trouble) <= 300


def test_times_of_a_frame(run):
    _machine, _, frames = run(lambda: Script(1, hang), patience=CALM)
    assert eventually(lambda: len(frames) == 1)
    assert abs(frames[0].captured - time.time()) < 2 * busy()
    assert 0 <= time.monotonic() - frames[0].clock < 2 * busy()
