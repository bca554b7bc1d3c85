"""Starts, kills and freezes the cameras of the tests; each is a process of its own on loopback."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from patience import eventually

HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"
_GVCP = 3956  # the UDP port of every GigE Vision camera


def free_port() -> int:
    """A port that stays free: below those that the system gives to whoever asks for any, and hard to draw twice."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Server:
    """A process that prints ``ready``, or is taken for ready when ``answers`` says so."""

    def __init__(self, command: list[str], answers: Callable[[], bool] | None = None) -> None:
        self.command, self.answers = [str(part) for part in command], answers
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Also: again, with the same command and port."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if self.answers is not None:
            assert eventually(self.answers), f"{self.command} did not start"
        else:
            assert self.process.stdout.readline() == b"ready\n", f"{self.command} did not start"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()


def rtsp(port: int, *login: str, fps: int = 20) -> Server:
    need_rtsp()
    return Server([SYSTEM_PYTHON, HERE / "rtsp_server.py", port, fps, *login])


def mjpeg(port: int, *login: str, fps: int = 20) -> Server:
    return Server([sys.executable, HERE / "mjpeg_server.py", port, fps, *login])


@contextmanager
def gige(serial: str, lost_per_thousand: int = 0) -> Iterator[Server]:
    """Debian's fake GigE Vision camera on loopback. There can be one on a machine: others wait for their turn."""
    need_gige()
    command = ["arv-fake-gv-camera-0.8", "-i", "127.0.0.1", "-s", serial, "-r", lost_per_thousand]
    with turn("fake GigE camera"):
        assert eventually(lambda: not _udp_taken(_GVCP)), f"another program has UDP port {_GVCP}: a camera left over?"
        with Server(command, lambda: _udp_taken(_GVCP)) as camera:
            yield camera


@contextmanager
def turn(what: str, timeout: float = 240.0) -> Iterator[None]:
    """Holds what this machine has one of; whoever else wants it waits, also in other processes."""
    place = Path(tempfile.gettempdir()) / f"sharpline-tests-{what.replace(' ', '-').lower()}.lock"
    with place.open("a") as file:
        assert eventually(lambda: _locked(file.fileno()), timeout), f"{place} is held for more than {timeout:g} s"
        yield


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _udp_taken(port: int) -> bool:
    rows = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(int(row.split()[1].rpartition(":")[2], 16) == port for row in rows)


class Junk:
    """Listens and answers every connection with ``answer``; with None it accepts and stays silent."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(client)
            if self.answer is not None:
                try:
                    client.recv(1000)
                    client.sendall(self.answer)
                    client.close()
                except OSError:
                    pass

    def __enter__(self) -> Junk:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        for client in self.open:
            client.close()


def _processes() -> Iterator[tuple[int, int, int]]:
    """Process id, parent and group of all that live."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if state != "Z":
                yield int(entry.name), int(parent), int(group)


def offspring(others: Set[int] = frozenset()) -> set[int]:
    """This process's children and theirs, without ``others`` and what came of them."""
    parents = {process: parent for process, parent, _ in _processes() if process not in others}
    found, size = {os.getpid()}, 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return found - {os.getpid()}


def members(group: int) -> set[int]:
    """The processes of a group."""
    return {process for process, _, its_group in _processes() if its_group == group}


def need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}: apt install {package}")


@cache
def _system_has(statement: str) -> bool:
    return subprocess.run([SYSTEM_PYTHON, "-c", statement], stderr=subprocess.DEVNULL, check=False).returncode == 0


def need_rtsp() -> None:
    if not _system_has(
        "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    ):
        pytest.skip("needs an RTSP server: apt install python3-gi gir1.2-gst-rtsp-server-1.0")
    need("gst-inspect-1.0", "gstreamer1.0-tools")
    if subprocess.run(["gst-inspect-1.0", "--exists", "x264enc"], check=False).returncode != 0:
        pytest.skip("needs x264enc: apt install gstreamer1.0-plugins-ugly")


def need_gige() -> None:
    need("arv-fake-gv-camera-0.8", "aravis-tools")
    if not _system_has("import gi; gi.require_version('Aravis', '0.8'); from gi.repository import Aravis"):
        pytest.skip("needs Aravis: apt install python3-gi gir1.2-aravis-0.8")
