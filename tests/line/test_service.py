"""What systemd is told, through a real socket, by a line that runs and by one that hangs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from patience import PATIENCE, eventually
from sharpline.line import watch as watching
from sharpline.line.config import parse_line
from sharpline.line.running import Line
from sharpline.line.service import Service
from staged_line import Camera, Sink, noise, until


class Systemd:
    """Listens as systemd does and remembers all that it was told."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name or str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name[1:] if self.name.startswith("@") else self.name)
        self.socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def environment(self, seconds: float | None) -> dict[str, str]:
        watched = (
            {} if seconds is None else {"WATCHDOG_USEC": str(int(seconds * 1e6)), "WATCHDOG_PID": str(os.getpid())}
        )
        return {"NOTIFY_SOCKET": self.name, **watched}


@pytest.fixture(params=["", "@sharpline-tests-{pid}"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(tmp_path, request.param.format(pid=os.getpid()))
    yield listening
    listening.socket.close()


def test_a_service_says_that_it_is_ready_and_alive_and_how_it_stands(systemd: Systemd) -> None:
    service = Service(systemd.environment(0.3))
    config = parse_line({"model": "bicubic", "view": None, "flow": {"rate": 0.01, "deadline": "60s"}})
    camera = Camera("cam1", 10**6, noise, interval=0.01)
    with Line(config, sources=[camera]) as line:
        assert service.ready()

        def beats(count: int) -> bool:
            service.beat(line.watch)
            return systemd.listen().count("WATCHDOG=1") >= count

        assert eventually(lambda: beats(4))
        assert eventually(
            lambda: beats(0) and systemd.heard[-1:] == ["WATCHDOG=1"] and "STATUS=all is well" in systemd.heard
        )
        camera.state, camera.trouble = "reconnecting", "no route to host"
        assert eventually(lambda: beats(0) and "STATUS=cam1 is reconnecting: no route to host" in systemd.heard)
        service.stopping()
    assert systemd.listen()[0] == "READY=1"
    assert systemd.heard[-1] == "STOPPING=1"


def test_a_line_that_hangs_does_not_say_that_it_is_alive(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sharpline.line.running.STUCK", 1.5)
    gate, sink = threading.Event(), Sink()
    settings = {"model": "bicubic", "view": None, "flow": {"rate": 0.01, "deadline": "100ms"}}
    line = Line(parse_line(settings), sources=[Camera("cam1", 10**6, noise, interval=0.01)], sinks=[sink])
    model = line._enlarging._rungs[0]

    def hang(frame: Any) -> Any:
        if frame.number > 20:
            gate.wait(PATIENCE)
        return model.enlarge(frame)

    monkeypatch.setattr(line._enlarging, "_rungs", [replace(model, enlarge=hang)])
    service = Service(systemd.environment(0.3))
    with line:
        stuck = "STATUS=the upscaler has not answered"
        until(lambda: service.beat(line.watch) or any(stuck in text for text in systemd.listen()))
        assert systemd.heard.count("WATCHDOG=1") > 1
        assert any("has not answered" in text for text in line.health())
        systemd.heard.clear()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            service.beat(line.watch)
            time.sleep(0.05)
        assert "WATCHDOG=1" not in systemd.listen()
        gate.set()
        until(lambda: service.beat(line.watch) or "WATCHDOG=1" in systemd.listen())


def test_a_replay_that_its_sinks_hold_up_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sharpline.line.running.STUCK", 0.1)
    gate = threading.Event()
    sink = Sink(receive=lambda result: gate.wait(PATIENCE) and None)  # type: ignore[func-returns-value]
    config = parse_line({"model": "bicubic", "view": None, "flow": {"mode": "replay"}})
    with Line(config, sources=[Camera("cam1", 60, noise)], sinks=[sink]) as line:
        until(lambda: line.watch.upscaler.quiet_for() > 1)
        assert not line.watch.stuck()
        gate.set()
        assert line.wait(PATIENCE)
    assert watching.STUCK > 1


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": "/no/such/socket", "WATCHDOG_USEC": "1"},
        {"NOTIFY_SOCKET": "x" * 300, "WATCHDOG_USEC": "soon"},
    ],
)
def test_without_systemd_nothing_is_said_and_nothing_fails(environment: dict[str, str]) -> None:
    service = Service(environment)
    assert not service.ready()
    service.stopping()


def test_another_process_watchdog_is_not_ours(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path, "")
    service = Service({**systemd.environment(0.001), "WATCHDOG_PID": "1"})
    with Line(parse_line({"model": "bicubic", "view": None}), sources=[Camera("cam1", 9, noise)]) as line:
        for _ in range(5):
            service.beat(line.watch)
    assert "WATCHDOG=1" not in systemd.listen()
    systemd.socket.close()


def test_the_command_is_a_service(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path, "")
    path = tmp_path / "LINE.yaml"
    path.write_text("sources:\n  - {name: test, pattern: {size: [64, 48]}}\nmodel: bicubic\nview: null\n")
    environment = {**os.environ, **systemd.environment(0.3), "OMP_NUM_THREADS": "1"}
    del environment["WATCHDOG_PID"]
    command = [sys.executable, "-m", "sharpline", "line", "run", str(path)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            assert eventually(lambda: systemd.listen().count("WATCHDOG=1") >= 3)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    assert systemd.listen()[0] == "READY=1"
    assert "STOPPING=1" in systemd.heard
    systemd.socket.close()
