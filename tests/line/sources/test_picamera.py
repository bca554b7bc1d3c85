"""The worker for picamera2 against a stand-in for the library: the device itself cannot be here."""

import textwrap

import numpy as np
import pytest

from patience import eventually
from sharpline.line.sources.config import PicameraSource, make_source

STAND_IN = """
import time

class Image:
    def __init__(self, width, height):
        self.shape = (height, width, 3)

    def tobytes(self):
        return bytes([200, 100, 50]) * (self.shape[0] * self.shape[1])

class Request:
    def __init__(self, size):
        self.size = size

    def make_array(self, name):
        assert name == "main"
        return Image(*self.size)

    def get_metadata(self):
        return {"SensorTimestamp": time.monotonic_ns()}

    def release(self):
        pass

class Picamera2:
    def __init__(self, index):
        [None][index]

    def create_video_configuration(self, main, controls):
        assert main["format"] == "BGR888" and controls == {"FrameRate": 20.0}
        print("libraries print things")
        return main["size"]

    def configure(self, size):
        self.size = size

    def start(self):
        pass

    def capture_request(self):
        time.sleep(0.05)
        return Request(self.size)

    def stop(self):
        pass

    close = stop
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    (tmp_path / "picamera2.py").write_text(textwrap.dedent(STAND_IN))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_pictures_come_in_rgb(stand_in, children):
    source, frames = make_source(PicameraSource(name="pi", picamera=0, size=(32, 24), fps=20)), []
    source.start(frames.append)
    assert eventually(lambda: len(frames) >= 3), source.trouble
    source.stop()
    assert np.array_equal(frames[0].image, np.full((24, 32, 3), (200, 100, 50), np.uint8))
    assert eventually(lambda: not children())


@pytest.mark.parametrize(("index", "words"), [(3, "there is no camera 3")])
def test_no_such_camera(stand_in, index, words):
    source = make_source(PicameraSource(name="pi", picamera=index))
    source.start(lambda frame: None)
    assert eventually(lambda: words in source.trouble), source.trouble
    source.stop()


def test_without_picamera2_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "picamera2.py").write_text("raise ImportError('none')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    source = make_source(PicameraSource(name="pi", picamera=0))
    source.start(lambda frame: None)
    assert eventually(lambda: "apt install python3-picamera2" in source.trouble), source.trouble
    assert source.state == "reconnecting"
    source.stop()
