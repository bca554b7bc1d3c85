import math
import shlex
import sys
import threading
import time

import numpy as np
import pytest
from camera_servers import members, need

from patience import PATIENCE, busy, eventually
from sharpline.line.sources.camera import CameraError
from sharpline.line.sources.child import Child
from sharpline.line.sources.machine import Machine, Patience
from sharpline.line.sources.pattern import pattern
from sharpline.line.sources.pipe import PipeCamera

SIZE = (16, 12)


def python(code):
    return shlex.join([sys.executable, "-c", code])


def reads(camera):
    """All pictures of a camera and the words of its end."""
    images = []
    try:
        camera.open()
        while True:
            shot = camera.read()
            if shot is None:
                return images, None
            images.append(shot.image)
    except CameraError as error:
        return images, error
    finally:
        camera.close()


def test_pictures_come_whole_and_in_order():
    code = "import sys; [sys.stdout.buffer.write(bytes([n]) * 192) for n in range(5)]"
    images, error = reads(PipeCamera(python(code), SIZE, "gray8"))
    assert [(image.shape, int(image.min()), int(image.max())) for image in images] == [
        ((12, 16, 1), n, n) for n in range(5)
    ]
    assert error is None


def test_half_a_picture_is_a_loss_that_is_said():
    images, error = reads(PipeCamera(python("print('x' * 250, end='')"), SIZE, "gray8"))
    assert len(images) == 1
    assert "ended within a picture, after 58 of 192 bytes" in str(error)
    assert error.damaged == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program -x", "no-such-program: no such command"),
        ("/etc/passwd", "cannot be started (Permission denied)"),
        (python("import sys; sys.exit('ERROR: no camera here')"), "ERROR: no camera here"),
        (python("import sys; sys.exit(3)"), "status 3"),
    ],
)
def test_why_there_is_nothing(command, words):
    images, error = reads(PipeCamera(command, SIZE, "gray8"))
    assert images == []
    assert words in str(error)


def test_no_shell_runs_the_command(tmp_path):
    reads(
        PipeCamera(f"echo a; touch {tmp_path / 'made'} $(touch {tmp_path / 'too'}) > {tmp_path / 'out'}", SIZE, "gray8")
    )
    assert list(tmp_path.iterdir()) == []


def test_its_whole_process_group_ends_with_it():
    """A child that ignores SIGTERM and has started another, and one that is frozen."""
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(15, 1); time.sleep(99)']);"
        "sys.stdout.buffer.write(bytes(192)); sys.stdout.flush(); time.sleep(99)"
    )
    frozen = "import os, signal, sys; sys.stdout.buffer.write(bytes(192)); sys.stdout.flush(); os.kill(os.getpid(), 19)"
    for code in (stubborn, frozen):
        camera = PipeCamera(python(code), SIZE, "gray8")
        camera.open()
        camera.read()
        assert members(camera._child._process.pid)
        began = time.monotonic()
        camera.close()
        assert time.monotonic() - began < 3 * busy()
        assert eventually(lambda camera=camera: members(camera._child._process.pid) == set())


def test_a_waiting_read_can_be_interrupted():
    given_up = threading.Event()
    child = Child([sys.executable, "-c", "import time; time.sleep(99)"], given_up)
    threading.Timer(0.2, given_up.set).start()
    with pytest.raises(CameraError, match="given up"):
        child.fill(np.empty(10, np.uint8))
    child.close()


def test_much_that_is_said_on_stderr_blocks_nothing():
    code = (
        "import sys; [(sys.stderr.write('warning ' * 100), sys.stdout.buffer.write(bytes(192))) for _ in range(3000)]"
    )
    images, _ = reads(PipeCamera(python(code), SIZE, "gray8"))
    assert len(images) == 3000


@pytest.mark.parametrize(("pause", "words"), [(0, "within a picture"), (99, "no picture for 0.6 s")])
def test_a_machine_reconnects_after_half_a_picture_and_after_silence(pause, words, children):
    code = f"import sys, time; sys.stdout.buffer.write(bytes(192 * 2 + 50)); sys.stdout.flush(); time.sleep({pause})"
    frames, troubles = [], set()
    patience = Patience(silence=0.6, retry=0.1, lag=math.inf)
    source = Machine("pipe", lambda: PipeCamera(python(code), SIZE, "gray8"), patience)
    source.start(frames.append)
    assert eventually(lambda: troubles.add(source.trouble) or len(frames) >= 4)
    source.stop()
    assert any(words in trouble for trouble in troubles)
    assert [frame.number for frame in frames] == list(range(len(frames)))
    if pause == 0:
        assert frames[2].dropped == {"damaged": 1}
    assert eventually(lambda: not children())


def test_a_frozen_command_shows_nothing_old_when_it_goes_on():
    """The bytes of a picture that was begun before the freeze are not live after it."""
    code = (
        "import sys, time\n"
        "for n in range(60):\n"
        "    sys.stdout.buffer.write(bytes([n]) * 100); sys.stdout.flush()\n"
        "    time.sleep(1.5 if n == 20 else 0.02)\n"
        "    sys.stdout.buffer.write(bytes([n]) * 92); sys.stdout.flush()\n"
    )
    frames = []
    source = Machine("pipe", lambda: PipeCamera(python(code), SIZE, "gray8"), Patience(silence=5, lag=1.0))
    source.start(frames.append)
    shown = lambda: {int(frame.image[0, 0, 0]) for frame in frames}  # noqa: E731
    assert eventually(lambda: {19, 40} <= shown())
    source.stop()
    assert 20 not in shown()


@pytest.mark.parametrize(
    "pixels", ["bgr24", "rgb24", "gray8", "gray16le", "yuyv422", "uyvy422", "nv12", "yuv420p", "rgb48le"]
)
def test_ffmpeg_as_the_camera(pixels, tmp_path):
    """FFmpeg's own conversion to a format, and ours back, give the picture again."""
    need("ffmpeg", "ffmpeg")
    from PIL import Image

    image = np.full((12, 16, 3), (200, 90, 40), np.uint8)
    image[:, 8:] = (20, 120, 220)
    Image.fromarray(image).save(tmp_path / "a.png")
    command = f"ffmpeg -v error -loop 1 -i {tmp_path / 'a.png'} -frames:v 2 -f rawvideo -pix_fmt {pixels} -"
    images, _ = reads(PipeCamera(command, SIZE, pixels))
    assert len(images) == 2
    found = images[1].astype(float) / (257 if images[1].dtype == np.uint16 else 1)
    assert images[1].dtype == (np.uint16 if "16" in pixels or "48" in pixels else np.uint8)
    if "gray" in pixels:
        wanted = image @ [0.299, 0.587, 0.114]
        assert np.abs(found[..., 0] - wanted).max() < 2.5
    else:
        assert np.abs(found - image)[:, [0, 3, 12, 15]].max() < 6  # away from the edge, where chroma is shared


@pytest.mark.parametrize(
    ("caps", "pixels", "shape"),
    [("RGB", "rgb24", (24, 32, 3)), ("GRAY16_LE", "gray16le", (24, 32, 1)), ("YUY2", "yuyv", (24, 32, 3))],
)
def test_gstreamer_as_the_camera(caps, pixels, shape):
    need("gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-plugins-base")
    command = (
        "gst-launch-1.0 videotestsrc num-buffers=3 pattern=red ! "
        f"video/x-raw,format={caps},width=32,height=24,framerate=30/1 ! fdsink"
    )
    images, _ = reads(PipeCamera(command, (32, 24), pixels))
    assert [image.shape for image in images] == [shape] * 3
    if shape[2] == 3:
        assert np.abs(images[0].reshape(-1, 3).mean(0) - [255, 0, 0]).max() < 4


def test_a_failing_gstreamer_says_why():
    need("gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-plugins-base")
    _, error = reads(PipeCamera("gst-launch-1.0 filesrc location=/no/file ! fdsink", SIZE, "gray8"))
    assert "ERROR" in str(error)
    assert "not found" in str(error).lower()


def test_replay_of_a_command_ends(tmp_path):
    from pydantic import TypeAdapter

    from sharpline.line.sources.config import SourceConfig, make_source

    film = b"".join(pattern(number, 16, 12).tobytes() for number in range(7))
    (tmp_path / "film").write_bytes(film)
    config = TypeAdapter(SourceConfig).validate_python(
        {"name": "a", "pipe": f"cat {tmp_path / 'film'}", "size": [16, 12], "pixels": "rgb24"}
    )
    frames = []
    source = make_source(config, replay=True)
    source.start(frames.append)
    assert source.join(PATIENCE)
    assert [np.array_equal(frame.image, pattern(frame.number, 16, 12)) for frame in frames] == [True] * 7
    assert source.trouble == ""
