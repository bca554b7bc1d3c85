"""A process that is killed with events in its outbox: the next one delivers them all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sharpline.line.sinks import delivery
from sharpline.line.sinks.config import OutboxConfig, SinkConfig, make_sink
from sharpline.line.sinks.outbox import Outbox

# A line that says each frame whose event is safe, until it is killed.
LINE = """
import sys
import numpy as np
from sharpline.line.frame import Frame, Result
from sharpline.line.sinks.config import OutboxConfig, SinkConfig, make_sink
from sharpline.line.sinks.outbox import Outbox
outbox = Outbox(OutboxConfig(path=sys.argv[1]))
entry = {"url": sys.argv[2], "secret_env": "THE_SECRET", "on": ["each"], "timeout": "500ms"}
sink = make_sink(SinkConfig.model_validate({"webhook": entry}), outbox)
sink.start()
pixels = np.zeros((48, 64, 3), np.uint8)
for number in range(int(sys.argv[3]), 100_000):
    frame = Frame("cam1", number, pixels, 1.7e9 + number, float(number))
    sink.accept(Result(frame, pixels, 1, "passthrough", "", True, 0.0, float(number)))
    while sink.counters()["queue"]:
        pass
    print(number, flush=True)
"""


def run_until(path: Path, url: str, first: int, count: int) -> int:
    """Runs a line, kills it in the middle of its work, and says which frame it had reported last."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", LINE, str(path), url, str(first)], stdout=subprocess.PIPE, text=True, env=environment
    ) as line:
        last = first - 1
        for _ in range(count):
            last = int(line.stdout.readline())
        line.kill()
        for text in line.stdout:
            last = int(text) if text.endswith("\n") else last
    return last


@pytest.mark.slow
def test_every_event_that_was_safe_is_delivered_after_two_kills(
    receiver, tmp_path, wait_until, answer, monkeypatch
) -> None:
    path = tmp_path / "outbox.sqlite"
    receiver.down()
    first = run_until(path, receiver.url, 0, 15)  # nobody takes anything
    receiver.up()
    receiver.script = [answer(500), answer(204, delay=0.2)]
    last = run_until(path, receiver.url, 1000, 15)  # killed while it delivers
    monkeypatch.setattr(delivery, "_FIRST", 0.02)
    outbox = Outbox(OutboxConfig(path=path))
    entry = {"url": receiver.url, "secret_env": "THE_SECRET"}
    sink = make_sink(SinkConfig.model_validate({"webhook": entry}), outbox)
    sink.start()
    assert wait_until(lambda: sink.counters()["outbox"] == 0)
    sink.stop()
    outbox.close()
    frames = [event["frame"] for event in receiver.taken]
    wanted = [*range(first + 1), *range(1000, last + 1)]
    assert sorted(set(wanted) - set(frames)) == []
    in_order = list(dict.fromkeys(frames))
    assert in_order == sorted(in_order)
    assert len(receiver.ids) == len(in_order), "one key a frame: what came twice came under the same key"
    assert receiver.repeats <= 1, "at most the one that was on its way when the process was killed"


@pytest.mark.slow
def test_a_receiver_that_is_down_for_long_gets_everything_in_order(
    receiver, outbox, make_result, wait_until, monkeypatch
) -> None:
    """The pauses are a hundredth of the real ones: 0.6 s stand for 60."""
    monkeypatch.setattr(delivery, "_FIRST", 0.005)
    monkeypatch.setattr(delivery, "_CAP", 0.3)
    entry = {"url": receiver.url, "secret_env": "THE_SECRET", "on": ["each"], "timeout": "1s"}
    sink = make_sink(SinkConfig.model_validate({"webhook": entry}), outbox)
    sink.start()
    number = 0
    for _ in range(3):
        for down in (False, True):
            (receiver.down if down else receiver.up)() if number else None
            end = time.monotonic() + 0.6
            while time.monotonic() < end:
                sink.accept(make_result(number))
                number += 1
                time.sleep(0.02)
    receiver.down()
    receiver.up()
    assert wait_until(lambda: sink.counters()["queue"] == 0 and sink.counters()["outbox"] == 0)
    lost = sink.counters()["lost"]
    sink.stop()
    assert len(receiver.ids) == number - lost
    frames = [event["frame"] for event in receiver.taken]
    assert list(dict.fromkeys(frames)) == sorted(set(frames))
    assert lost == 0
