"""Starts, kills and freezes the cameras of the tests; each is a process of its own on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that prints ``ready``, or is taken for ready after ``settle`` seconds."""

    def __init__(self, command: list[str], settle: float | None = None) -> None:
        self.command, self.settle = [str(part) for part in command], settle
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Also: again, with the same command and port."""
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if self.settle is not None:
            time.sleep(self.settle)
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


def gige(serial: str, lost_per_thousand: int = 0) -> Server:
    """Debian's fake GigE Vision camera on loopback; there can be one at a time."""
    need_gige()
    command = ["arv-fake-gv-camera-0.8", "-i", "127.0.0.1", "-s", serial, "-r", lost_per_thousand]
    return Server(command, settle=0.5)


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


def eventually(condition: Callable[[], bool], timeout: float = 10.0) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


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


def children() -> set[int]:
    """This process's children, and theirs."""
    parents = {process: parent for process, parent, _ in _processes()}
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
