"""Films, RTSP and HTTP with real servers on loopback."""

import itertools
import os
import signal
import threading
import time
from pathlib import Path

import av
import camera_servers as servers
import numpy as np
import pytest
import stamped
from camera_servers import free_port
from PIL import Image

from patience import PATIENCE, busy, eventually
from sharpline.line.sources.config import UrlSource, make_source
from sharpline.line.sources.pattern import pattern

BACK = 12.0  # seconds after its return, within which a camera has to be shown again on a machine that is not busy
LIVE = 2.0  # seconds that a picture may be old there; lag is 1


def film(path, frames=10, fps=20, codec="ffv1", pixels="bgr0"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(pattern(number, 64, 48), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def play(url, replay=False, **options):
    source, frames = make_source(UrlSource(name="cam", url=str(url), **options), replay=replay), []
    source.start(frames.append)
    assert source.join(PATIENCE)
    return source, frames


class Watch:
    """Runs a source and measures how old each picture is when it is delivered."""

    def __init__(self, url, **options):
        self.source = make_source(UrlSource(name="cam", url=url, **options))
        self.ages, self.numbers, self.last = [], [], None
        self.source.start(self._take)

    def _take(self, frame):
        self.ages.append((stamped.milliseconds() - stamped.read(frame.image)) / 1000)
        self.numbers.append(frame.number)
        self.last = frame

    def more(self, count, timeout=PATIENCE):
        """Whether ``count`` more pictures come in time."""
        wanted = len(self.ages) + count
        return eventually(lambda: len(self.ages) >= wanted, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        began = time.monotonic()
        self.source.stop()
        assert time.monotonic() - began < 4 * busy()
        count = len(self.ages)
        assert self.source.state == "closed"
        assert self.numbers == list(range(count)), "no gaps, over all reconnects"
        assert min(self.ages, default=0) > -0.1
        assert max(self.ages, default=0) < LIVE * busy(), "nothing old was shown as live"


def command_line(process):
    """Empty where the process has ended meanwhile."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


# Films


def test_a_replayed_film_gives_every_picture_exactly(tmp_path, children):
    source, frames = play(film(tmp_path / "film.mkv"), replay=True)
    assert [np.array_equal(frame.image, pattern(frame.number, 64, 48)) for frame in frames] == [True] * 10
    assert (source.state, source.trouble) == ("closed", "")
    assert eventually(lambda: not children())


def test_a_live_film_plays_once_at_its_own_rate(tmp_path):
    times = []
    source = make_source(UrlSource(name="cam", url=f"file://{film(tmp_path / 'a:b.mkv', frames=20)}"))
    source.start(lambda frame: times.append(frame.clock))
    assert source.join(PATIENCE)
    assert len(times) == 20
    assert 0.85 < times[-1] - times[0] < 3 * busy()


@pytest.mark.parametrize(
    ("pixels", "shape", "dtype"),
    [("gray", (48, 64, 1), np.uint8), ("gray16le", (48, 64, 1), np.uint16), ("rgb48le", (48, 64, 3), np.uint16)],
)
def test_depth_and_grey_are_kept(tmp_path, pixels, shape, dtype):
    _, frames = play(film(tmp_path / "film.mkv", pixels=pixels), replay=True)
    assert (frames[3].image.shape, frames[3].image.dtype) == (shape, dtype)
    assert frames[3].image.max() > (200 if dtype == np.uint8 else 51000)


def test_a_damaged_film_goes_on_behind_the_damage(tmp_path):
    path = film(tmp_path / "film.mp4", frames=60, codec="mpeg4", pixels="yuv420p")
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)
    source, frames = play(path, replay=True)
    assert source.state == "closed"
    assert len(frames) > 30


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no such file"), (b"no film at all" * 99, "no video that can be read")]
)
def test_no_film_is_said_in_one_line(tmp_path, content, words):
    if content:
        (tmp_path / "film.mp4").write_bytes(content)
    source, frames = play(tmp_path / "film.mp4", replay=True)
    assert frames == []
    assert words in source.trouble
    live = make_source(UrlSource(name="cam", url=str(tmp_path / "film.mp4"), retry="300ms"))
    live.start(lambda frame: None)
    assert eventually(lambda: words in live.trouble)
    assert live.state in ("reconnecting", "connecting")
    live.stop()


def test_a_slow_taker_of_a_replay_gets_every_picture(tmp_path):
    source, numbers = (
        make_source(UrlSource(name="cam", url=str(film(tmp_path / "f.mkv")), silence="500ms"), replay=True),
        [],
    )
    source.start(lambda frame: (time.sleep(0.2), numbers.append(frame.number)))
    assert source.join(PATIENCE)
    assert numbers == list(range(10))


# What cannot be opened


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize("answer", [b"\x00\xff junk \r\n\r\n" * 50, b"HTTP/1.0 200 OK\r\n\r\nhello", b"", None])
def test_junk_on_the_port(scheme, answer):
    with servers.Junk(answer) as junk:
        url = f"{scheme}://me:hunter2@127.0.0.1:{junk.port}/cam"
        source = make_source(UrlSource(name="cam", url=url, connect="1500ms", silence="1s"))
        source.start(lambda frame: None)
        assert eventually(lambda: source.state == "reconnecting" and source.trouble != "")
        trouble = source.trouble
        source.stop()
    assert "hunter2" not in trouble
    assert "\n" not in trouble
    assert source.counters()["frames"] == 0


def test_nobody_there_and_no_such_device(children):
    for url, words in (
        (f"rtsp://u:hunter2@127.0.0.1:{free_port()}/cam", "nobody listens there"),
        (f"http://127.0.0.1:{free_port()}/cam", "nobody listens there"),
        ("/dev/video99", "no such file or device"),
        ("v4l2:/dev/video98", "no such file or device"),
    ):
        source = make_source(UrlSource(name="cam", url=url))
        source.start(lambda frame: None)
        assert eventually(lambda words=words, source=source: words in source.trouble), source.trouble
        assert "hunter2" not in source.trouble
        source.stop()
    assert eventually(lambda: not children())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rtsp", "http"])
def test_passwords_and_paths(kind, monkeypatch):
    port = free_port()
    start = servers.rtsp if kind == "rtsp" else servers.mjpeg
    with start(port, "me", "hunter2"):
        for login, path, words in (
            ("me:wrong3@", "cam", "user or password is wrong"),
            ("", "cam", "user or password is wrong"),
            ("me:hunter2@", "nothing", "no such path"),
        ):
            source = make_source(UrlSource(name="cam", url=f"{kind}://{login}127.0.0.1:{port}/{path}"))
            source.start(lambda frame: None)
            assert eventually(lambda words=words, source=source: words in source.trouble), source.trouble
            source.stop()
        monkeypatch.setenv("CAM_PASSWORD", "hunter2")
        with Watch(f"{kind}://me@127.0.0.1:{port}/cam", password_env="CAM_PASSWORD") as watch:
            assert watch.more(3)


def test_stop_while_connecting(children, threads):
    with servers.Junk(None) as junk:
        for scheme, pause in itertools.product(("rtsp", "http"), (0.0, 0.2, 1.5)):
            source = make_source(UrlSource(name="cam", url=f"{scheme}://127.0.0.1:{junk.port}/cam"))
            source.start(lambda frame: None)
            time.sleep(pause)
            began = time.monotonic()
            source.stop()
            assert time.monotonic() - began < 2.5 * busy()
            assert source.state == "closed"
            assert eventually(lambda: not children())
    assert eventually(lambda: len(threads()) <= 1), "all but the junk server's"


def test_the_password_is_not_in_the_list_of_processes(children):
    with servers.Junk(None) as junk:
        source = make_source(UrlSource(name="cam", url=f"rtsp://me:hunter2@127.0.0.1:{junk.port}/cam"))
        source.start(lambda frame: None)
        assert eventually(lambda: bool(children()))
        lines = []
        assert eventually(lambda: lines.extend(map(command_line, children())) or any("workers" in x for x in lines))
        source.stop()
    assert not any("hunter2" in line for line in lines)


# Faults


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rtsp", "http"])
def test_a_server_that_is_killed_and_one_that_freezes(kind, children):
    """Killed and back; frozen for 8 s; frozen for less than the silence: live again in time, never old as live."""
    port = free_port()
    start = servers.rtsp if kind == "rtsp" else servers.mjpeg
    with start(port) as server, Watch(f"{kind}://127.0.0.1:{port}/cam") as watch:
        assert watch.more(20)
        assert watch.last.image.shape == (stamped.HEIGHT, stamped.WIDTH, 3)
        server.freeze()
        assert eventually(lambda: watch.source.state in ("stalled", "reconnecting"))
        assert eventually(lambda: watch.source.state == "reconnecting")
        assert "no picture for 3" in watch.source.trouble
        time.sleep(4.5)
        server.thaw()
        assert watch.more(20, BACK * busy())
        server.freeze()
        time.sleep(2)
        server.thaw()
        assert watch.more(20, BACK * busy())
        assert watch.source.counters()["dropped_stale"] > 10, "what had been kept was dropped"
        server.kill()
        assert eventually(lambda: watch.source.state == "reconnecting")
        assert eventually(lambda: "nobody listens" in watch.source.trouble)
        server.start()
        assert watch.more(20, BACK * busy())
        assert (watch.source.state, watch.source.trouble) == ("running", "")
        assert watch.source.counters()["reconnects"] >= 2
    assert eventually(lambda: not children())


def test_a_crash_of_the_worker_is_survived(children):
    port = free_port()
    with servers.mjpeg(port) as server, Watch(f"http://127.0.0.1:{port}/cam") as watch:
        assert watch.more(5)
        workers = children() - {server.process.pid}
        for worker in workers:
            os.kill(worker, signal.SIGSEGV)
        assert eventually(lambda: "has died" in watch.source.trouble)
        assert watch.more(5)


def test_damaged_pictures_are_dropped_and_counted():
    """Every third JPEG of this camera is cut off."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from io import BytesIO

    def jpeg(value):
        file = BytesIO()
        noise = np.random.default_rng(0).integers(0, 30, (120, 160, 3), dtype=np.uint8)
        Image.fromarray(noise + np.uint8(value)).save(file, "JPEG", quality=95)
        return file.getvalue()

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for number in range(400):
                data = jpeg(80 * (number % 3))
                data = data if number % 3 else data[: len(data) // 3]
                try:
                    self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                    self.wfile.write(f"Content-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n")
                except OSError:
                    return
                time.sleep(0.03)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    source, frames = make_source(UrlSource(name="cam", url=f"http://127.0.0.1:{server.server_port}/cam")), []
    source.start(frames.append)
    assert eventually(lambda: len(frames) >= 12)
    source.stop()
    server.shutdown()
    server.server_close()
    assert source.counters()["dropped_damaged"] >= 4
    for frame in frames:
        bands = frame.image.reshape(4, -1).mean(1)
        assert np.ptp(bands) < 10, "no part is another picture's"
        assert bands[0] > 80, "and those that were cut off are missing"
