import pytest
from pydantic import TypeAdapter, ValidationError

from sharpline.line.sources.address import with_password, worker_options
from sharpline.line.sources.camera import CameraError
from sharpline.line.sources.config import SourceConfig, make_source

ADAPTER = TypeAdapter(SourceConfig)
GOOD = {
    "UrlSource": {"url": "rtsp://127.0.0.1:8554/cam"},
    "PipeSource": {"pipe": "gst-launch-1.0 videotestsrc ! fdsink", "size": [640, 480]},
    "GigeSource": {"gige": ""},
    "PicameraSource": {"picamera": 0},
    "FolderSource": {"folder": "in"},
    "PatternSource": {"pattern": {}},
}


@pytest.mark.parametrize("kind", GOOD)
def test_the_key_says_the_kind_and_all_waits_are_shown(kind):
    config = ADAPTER.validate_python({"name": "cam1", **GOOD[kind]})
    assert type(config).__name__ == kind
    shown = config.model_dump()
    assert shown["retry"] == 10.0
    if kind not in ("FolderSource", "PatternSource"):
        assert (shown["connect"], shown["silence"], shown["lag"]) == (5.0, 3.0, 1.0)
    source = make_source(config)
    assert (source.name, source.state, source.trouble) == ("cam1", "connecting", "")
    source.stop()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "exactly one of url, pipe, gige, picamera, folder, pattern"),
        ({"url": "a.mp4", "folder": "b"}, "exactly one of"),
        ({"url": "ftp://cam/x"}, "none of rtsp://"),
        ({"url": "a.mp4", "silense": "3s"}, "Extra inputs"),
        ({"url": "rtsp://cam/x", "fps": 5}, "for /dev/video devices"),
        ({"url": "rtsp://cam/x", "password_env": "PW"}, "needs a user in the address"),
        ({"url": "a.mp4", "name": "../../etc"}, "should match"),
        ({"pipe": "", "size": [2, 2]}, "at least 1 character"),
        ({"pipe": "cat 'x", "size": [2, 2]}, "No closing quotation"),
        ({"pipe": "cat x", "size": [2, 0]}, "greater than or equal to 1"),
        ({"pipe": "cat x", "size": [2, 2], "pixels": "rgb25"}, "no pixel format 'rgb25'; known are gray8"),
        ({"pipe": "cat x", "size": [3, 2], "pixels": "nv12"}, "even width"),
        ({"pipe": "gst-launch-1.0 x ! fdsink", "size": [322, 2]}, "pads each row to 4 bytes"),
        ({"picamera": -1}, "greater than or equal to 0"),
        ({"pattern": {"fps": 0}}, "greater than 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, words):
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python({"name": "cam1", **changes})
    assert words in str(caught.value)


def test_a_password_is_not_shown(tmp_path):
    config = ADAPTER.validate_python({"name": "c", "url": "rtsp://me:hunter2@127.0.0.1:1/cam"})
    assert "hunter2" not in f"{config!r} {config} {config.model_dump()} {config.url} {config.model_dump_json()}"
    pipe = ADAPTER.validate_python({"name": "c", "pipe": "cat rtsp://me:hunter2@cam/ a?pwd=hunter2", "size": [2, 2]})
    assert "hunter2" not in f"{pipe!r} {pipe.model_dump()} {pipe.pipe}"


def test_the_password_comes_from_the_environment(monkeypatch):
    assert with_password("rtsp://me@cam:554/x?y=1", None) == "rtsp://me@cam:554/x?y=1"
    monkeypatch.setenv("PW", "a/b@c")
    assert with_password("rtsp://me@cam:554/x?y=1", "PW") == "rtsp://me:a%2Fb%40c@cam:554/x?y=1"
    monkeypatch.delenv("PW")
    with pytest.raises(CameraError, match="is not set"):
        with_password("rtsp://me@cam/x", "PW")


def test_what_ffmpeg_is_told():
    common = {"connect": 5.0, "silence": 3.0, "transport": "udp", "size": None, "fps": None, "pace": True}
    rtsp = worker_options("rtsp://cam/x", **common)
    assert rtsp["options"]["rtsp_transport"] == "udp"
    assert rtsp["stamps"]
    device = worker_options("v4l2:/dev/v4l/by-id/a", **{**common, "size": (640, 480), "fps": 12.5})
    assert (device["url"], device["format"]) == ("/dev/v4l/by-id/a", "v4l2")
    assert device["options"] == {"video_size": "640x480", "framerate": "12.5"}
    assert worker_options("http://cam/x", **common)["stamps"] is False
    assert worker_options("concat:a.mp4", **common)["url"] == "file:concat:a.mp4", "a path, not a protocol"
    assert worker_options("file:///a.mp4", **common)["url"] == "file:/a.mp4"
