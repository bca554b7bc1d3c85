"""GigE Vision with Debian's fake camera, one at a time on loopback."""

import sys
import time

import camera_servers as servers
import numpy as np
import pytest
from camera_servers import SYSTEM_PYTHON

from patience import PATIENCE, eventually
from sharpline.line.sources.config import GigeSource, make_source
from sharpline.line.sources.worker import WorkerCamera, python_with

HERE = "127.0.0.1"
SMALL = {"Width": 128, "Height": 128}


class Watch:
    def __init__(self, device=HERE, silence="3s", **features):
        config = GigeSource(name="gige", gige=device, features=features, silence=silence)
        self.source, self.frames = make_source(config), []
        self.source.start(self.frames.append)

    def more(self, count):
        wanted = len(self.frames) + count
        return eventually(lambda: len(self.frames) >= wanted)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.source.stop()
        assert self.source.state == "closed"


@pytest.mark.parametrize(
    ("pixels", "channels", "dtype"),
    [("Mono8", 1, np.uint8), ("Mono16", 1, np.uint16), ("RGB8", 3, np.uint8), ("BayerRG8", 3, np.uint8)],
)
def test_pixel_formats(pixels, channels, dtype):
    with servers.gige("S1"), Watch(PixelFormat=pixels, **SMALL) as watch:
        assert watch.more(4), watch.source.trouble
    image = watch.frames[-1].image
    assert (image.shape, image.dtype) == ((128, 128, channels), dtype)
    assert image.max() > np.iinfo(dtype).max / 2
    assert not np.array_equal(image, watch.frames[0].image)
    assert [frame.number for frame in watch.frames] == list(range(len(watch.frames)))


@pytest.mark.slow
def test_the_camera_freezes_and_is_killed(children, threads):
    with servers.gige("S2") as camera, Watch(**SMALL) as watch:
        assert watch.more(10)
        camera.freeze()
        assert eventually(lambda: watch.source.state == "reconnecting")
        time.sleep(3)
        camera.thaw()
        assert watch.more(10)
        camera.kill()
        assert eventually(lambda: watch.source.state == "reconnecting")
        camera.start()
        assert watch.more(10)
    assert eventually(lambda: not children())
    assert eventually(lambda: not threads())
    clocks = [frame.clock for frame in watch.frames]
    assert clocks == sorted(clocks)


def test_two_per_cent_of_the_packets_are_lost():
    """Pictures with holes are dropped and counted, the whole ones go on, and it does not reconnect for it."""
    with servers.gige("S3", lost_per_thousand=20), Watch(silence="30s", **SMALL) as watch:
        assert watch.more(40)
        counters = watch.source.counters()
    assert counters["dropped_damaged"] >= 2
    assert counters["reconnects"] == 0
    assert sum(sum(frame.dropped.values()) for frame in watch.frames) >= 2


def test_no_such_camera_and_no_such_feature(children):
    servers.need_gige()
    with Watch("127.0.0.9") as watch:
        assert eventually(lambda: "GigE Vision: " in watch.source.trouble)
    with servers.gige("S4"), Watch(Bogus=3) as watch:
        assert eventually(lambda: "Bogus" in watch.source.trouble)
    assert eventually(lambda: not children())


def test_without_aravis_it_says_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "gi.py").write_text("raise ImportError('none')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Watch() as watch:
        assert eventually(lambda: "apt install python3-gi gir1.2-aravis-0.8" in watch.source.trouble)


def test_a_worker_ends_with_its_parent():
    """A parent that is killed cannot stop its workers: they see the end of their standard input."""
    servers.need_gige()
    with servers.gige("S5"):
        camera = WorkerCamera("aravis", "gi", {"device": HERE, "features": SMALL})
        camera.open()
        worker = camera._child._process
        camera._child._in.close()
        assert worker.wait(PATIENCE) is not None
        camera.close()
    assert python_with("gi") in (sys.executable, SYSTEM_PYTHON)
