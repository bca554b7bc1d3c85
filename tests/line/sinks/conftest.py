"""Results to send, and receivers on loopback that behave as badly as a test asks."""

from __future__ import annotations

import base64
import hmac
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from patience import eventually
from sharpline.line.frame import Detection, Frame, Result
from sharpline.line.sinks.config import OutboxConfig
from sharpline.line.sinks.outbox import Outbox

SECRET = "a secret of the tests, long enough"


def result_of(number: int = 0, *, clock: float | None = None, size: int = 16, **changes: Any) -> Result:
    """An enlarged frame of camera ``cam1``, x2: pixels of noise that its number decides."""
    rng = np.random.default_rng(number)
    fields: dict[str, Any] = {"source": "cam1", "dropped": {}, "dtype": np.uint8, "channels": 3}
    fields |= {key: changes.pop(key) for key in list(changes) if key in fields}
    top = np.iinfo(fields["dtype"]).max
    image = rng.integers(0, top, (size, size + 4, fields["channels"]), fields["dtype"], endpoint=True)
    moment = number / 25 if clock is None else clock
    frame = Frame(fields["source"], number, image, 1.7e9 + moment, moment, fields["dropped"])
    made: dict[str, Any] = {"scale": 2, "method": "edge-s-x2", "model_hash": "ab" * 32, "fallback": False}
    made |= {"seconds": 0.01, "finished": moment + 0.02} | changes
    sr = made.pop("sr", None)
    return Result(frame, image.repeat(made["scale"], 0).repeat(made["scale"], 1) if sr is None else sr, **made)


def fault() -> Detection:
    return Detection("scratch", 0.75, (2.0, 4.0, 8.0, 12.0), (1.0, 2.0, 4.0, 6.0))


@dataclass
class Answer:
    """What a receiver does with one request: waits, then says a status; 0 hangs up without a word."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


class Receiver:
    """Takes events by HTTP. It checks the signature by itself and keeps what it has acknowledged by 2xx."""

    def __init__(self) -> None:
        self.script: list[Answer] = []
        self.otherwise = Answer()
        self.taken: list[dict[str, Any]] = []
        self.asked: list[tuple[float, str, int]] = []  # when, the event's id, what was answered
        self.forged: list[str] = []
        self.port = 0
        self._server: ThreadingHTTPServer | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def ids(self) -> list[str]:
        """Ids of what was taken, in order, doubles once."""
        return list(dict.fromkeys(event["id"] for event in self.taken))

    @property
    def repeats(self) -> int:
        """How often something was taken that it had already."""
        return sum(count - 1 for count in Counter(event["id"] for event in self.taken).values())

    def up(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        key = request.headers["Idempotency-Key"]
        answer = self.script.pop(0) if self.script else self.otherwise
        self.asked.append((time.monotonic(), key, answer.status))
        if not self._signed(request, body):
            self.forged.append(key)
        time.sleep(answer.delay)
        if answer.status == 0:
            request.close_connection = True
            return
        if 200 <= answer.status < 300:
            self.taken.append(json.loads(body))
        request.send_response(answer.status)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        request.end_headers()

    def _signed(self, request: BaseHTTPRequestHandler, body: bytes) -> bool:
        key, moment = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        digest = hmac.new(SECRET.encode(), f"{key}.{moment}.".encode() + body, sha256).digest()
        wanted = "v1," + base64.b64encode(digest).decode()
        recent = abs(time.time() - int(moment)) < 60
        return recent and key == json.loads(body)["id"] and request.headers["webhook-signature"] == wanted


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("THE_SECRET", SECRET)
    receiver = Receiver()
    yield receiver
    receiver.down()


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(OutboxConfig(path=tmp_path / "outbox.sqlite"))
    yield outbox
    outbox.close()


class Broker:
    """A mosquitto of this test's own, on a free port; it forgets everything when it is killed."""

    def __init__(self, folder: Path, program: str, settings: str = "allow_anonymous true") -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._program, self._file = program, folder / "mosquitto.conf"
        # It gives up root's rights for those of the user that it is told.
        self._file.write_text(f"listener {self.port} 127.0.0.1\npersistence false\nuser root\n{settings}\n")
        self.process: subprocess.Popen[bytes] | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def up(self) -> None:
        self.process = subprocess.Popen([self._program, "-c", self._file], stderr=subprocess.DEVNULL)
        assert eventually(self._answers), "mosquitto does not start"

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    made: list[Broker] = []

    def make(settings: str = "allow_anonymous true") -> Broker:
        made.append(Broker(tmp_path, program, settings))
        return made[-1]

    yield make
    for broker in made:
        broker.kill()


@pytest.fixture
def make_result() -> Callable[..., Result]:
    return result_of


@pytest.fixture
def scratch() -> Detection:
    return fault()


@pytest.fixture
def wait_until() -> Callable[..., bool]:
    return eventually


@pytest.fixture
def answer() -> type[Answer]:
    return Answer
