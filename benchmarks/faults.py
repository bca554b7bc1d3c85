"""Parts of a line that fail: cameras, a webhook's receiver, a broker, a detector, a sink. All know what they did."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from sharpline.line.conveyor import Scene
from sharpline.line.frame import Array, Detection, Frame, Result
from sharpline.line.parts import DetectorError
from sharpline.line.sources.camera import CameraError, Shot

_BACKLOG = 3.0  # seconds of pictures that a frozen server keeps and hands out afterwards
_REMEMBERED = 1000


class Cable:
    """What a camera's handles share: the scene, whether anything comes through, and when each picture was taken."""

    def __init__(self, scene: Scene, fps: float, rng: random.Random) -> None:
        self.scene, self.fps, self.rng = scene, fps, rng
        self.begin = time.monotonic()
        self.until: dict[str, float] = {"pulled": 0.0, "frozen": 0.0}
        self.whole_since = 0.0
        self._taken: dict[int, float] = {}

    def cut(self, how: Literal["pulled", "frozen"], seconds: float) -> None:
        """For so long, from now on."""
        self.until[how] = self.whole_since = time.monotonic() + seconds

    def is_(self, how: Literal["pulled", "frozen"]) -> bool:
        """Whether it is cut in this way now."""
        return time.monotonic() < self.until[how]

    def picture(self, moment: float) -> Array:
        """What there is to be seen at a moment."""
        image = self.scene.picture(int((moment - self.begin) * self.fps))
        self._taken.pop(id(image), None)
        self._taken[id(image)] = moment
        while len(self._taken) > _REMEMBERED:
            self._taken.pop(next(iter(self._taken)))
        return image

    def taken(self, frame: Frame) -> float | None:
        """When a frame was really taken, whatever it says of itself; None for one of long ago."""
        return self._taken.get(id(frame.image))


class FaultyCamera:
    """A handle: its cable is pulled, it freezes and hands out later what it kept, refuses, and sends half pictures."""

    def __init__(self, cable: Cable) -> None:
        self._cable, self._given_up = cable, threading.Event()
        self._next = 0.0
        self._kept: list[float] = []

    def open(self) -> None:
        """Refuses while the cable is pulled, and now and then; hangs while it is frozen."""
        cable = self._cable
        if cable.is_("pulled"):
            raise CameraError("no route to host")
        self._hang()
        if time.monotonic() > cable.whole_since + 15 and cable.rng.random() < 0.3:
            raise CameraError("connection refused")
        self._next = time.monotonic()

    def _hang(self) -> None:
        while self._cable.is_("frozen") and not self._given_up.is_set():
            time.sleep(0.02)

    def read(self) -> Shot | None:
        """A picture, or a fault."""
        cable, now = self._cable, time.monotonic()
        if cable.is_("pulled"):
            raise CameraError("connection reset", damaged=1)
        if cable.is_("frozen"):
            self._hang()
            end = time.monotonic()
            self._kept = [now + k / cable.fps for k in range(int(min(_BACKLOG, end - now) * cable.fps))]
            self._next = end
        if self._kept:
            return Shot(cable.picture(self._kept.pop(0)), time.monotonic())
        dice = cable.rng.random() * cable.fps  # once a second each would be 1
        if dice < 0.02:
            raise CameraError("connection reset", damaged=1)
        if dice < 0.03:
            return None
        self._next = max(self._next + 1 / cable.fps, time.monotonic() - 1)
        time.sleep(max(0.0, self._next - time.monotonic()))
        if dice > cable.fps - 0.1:
            return Shot(None, time.monotonic(), dropped={"damaged": 1})
        return Shot(cable.picture(time.monotonic()), time.monotonic())

    def interrupt(self) -> None:
        """Ends a hang."""
        self._given_up.set()

    def close(self) -> None:
        """Holds nothing."""


class Receiver:
    """A webhook's receiver that is away, answers 500 or is slow for some of the time, and knows what it got."""

    def __init__(self, rng: random.Random) -> None:
        self.got: dict[str, int] = {}  # how often each event came, by its id
        self.frames: dict[tuple[str, int, str], set[str]] = {}  # the ids of each source, frame and cause
        self._rng, self._port = rng, 0
        self._server: ThreadingHTTPServer | None = None
        self.up()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}/events"

    @property
    def repeated(self) -> int:
        """Deliveries of what it had already, under the same id."""
        return sum(count - 1 for count in self.got.values())

    @property
    def duplicated(self) -> int:
        """Events that came under two ids: nobody could have recognised them."""
        return sum(len(ids) - 1 for ids in self.frames.values())

    def up(self) -> None:
        """Listens; again on the same port."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.serve(self)

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def down(self) -> None:
        """Nobody listens."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """One event: taken, refused for now, or answered too late."""
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        dice = self._rng.random()
        if 0.15 < dice < 0.2:
            time.sleep(1.5)
        status = 500 if dice < 0.15 else 200
        if status == 200:
            event = json.loads(body)
            self.got[event["id"]] = self.got.get(event["id"], 0) + 1
            self.frames.setdefault((event["source"], event["frame"], event["cause"]), set()).add(event["id"])
        try:
            request.send_response(status)
            request.send_header("content-length", "0")
            request.end_headers()
        except OSError:  # it did not wait
            return


class Broker:
    """Debian's mosquitto, which is killed and comes back."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._file = folder / "mosquitto.conf"
        kept = f"persistence true\npersistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\n"
        self._file.write_text(f"listener {self.port} 127.0.0.1\n{kept}user root\nallow_anonymous true\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.up()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"mqtt://127.0.0.1:{self.port}"

    @staticmethod
    def program() -> str | None:
        """Where it is installed, if it is."""
        return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")

    def up(self) -> None:
        """Starts it; again on the same port."""
        command = [self.program() or "mosquitto", "-c", str(self._file)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def down(self) -> None:
        """Kills it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Subscriber:
    """Who reads the events at the broker: QoS 1, with a session that stays while it, or the broker, is away."""

    def __init__(self, port: int, topic: str) -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        self.got: dict[str, int] = {}  # how often each event came, by its id
        self._ready = threading.Event()
        name, protocol = f"soak-{port}", MQTTProtocolVersion.MQTTv311
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, clean_session=False, protocol=protocol)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._take
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        self._ready.wait(10)

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        key = json.loads(message.payload)["id"]
        self.got[key] = self.got.get(key, 0) + 1

    def close(self) -> None:
        """Says goodbye."""
        self._client.disconnect()
        self._client.loop_stop()


class Finder:
    """A detector that finds something everywhere, and fails now and then."""

    name = "soak"

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def detect(self, result: Result) -> Result:
        """One box."""
        if self._rng.random() < 0.02:
            raise DetectorError("no answer")
        return replace(result, detections=(Detection("part", 0.9, (0, 0, 9, 9), (0, 0, 2, 2)),))

    def close(self) -> None:
        """Holds nothing."""


@dataclass
class StuckSink:
    """A receiver that blocks for seconds, and raises."""

    rng: random.Random
    name: str = "stuck"
    trouble: str = ""
    taken: int = 0
    last: dict[str, int] = field(default_factory=dict)

    def start(self) -> None:
        """Nothing to open."""

    def accept(self, result: Result) -> None:
        """Checks the order; blocks and raises sometimes."""
        assert result.frame.number > self.last.get(result.frame.source, -1), "results out of order"
        self.last[result.frame.source] = result.frame.number
        self.taken += 1
        dice = self.rng.random()
        if dice < 0.01:
            time.sleep(3)
        elif dice < 0.05:
            raise OSError("disk full")

    def stop(self, timeout: float = 5.0) -> None:
        """Nothing to close."""

    def counters(self) -> Mapping[str, float]:
        """How many it took."""
        return {"sent": self.taken}
