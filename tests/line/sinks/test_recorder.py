"""Films and picture pairs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

av = pytest.importorskip("av", reason="PyAV is not installed")

from patience import busy  # noqa: E402
from sharpline.line.sinks.config import SinkConfig, make_sink  # noqa: E402
from sharpline.pixels.reading import read_image  # noqa: E402


@pytest.fixture
def record(tmp_path, request):
    def make(**settings):
        entry = {"folder": str(tmp_path / "films"), "pairs": "none", "reserve": "1B"} | settings
        sink = make_sink(SinkConfig.model_validate({"recorder": entry}), None)
        sink.start()
        request.addfinalizer(lambda: sink.stop(10.0))
        return sink

    return make


def feed(sink, results) -> None:
    for result in results:
        sink.accept(result)
        while sink.counters()["queue"] > 4:
            time.sleep(0.002)


def names(tmp_path, ending="") -> list[str]:
    return sorted(p.name for p in (tmp_path / "films").iterdir() if p.name[0] != "." and p.name.endswith(ending))


def frames_of(path):
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def smooth(number: int, side: int = 64) -> np.ndarray:
    ramp = np.linspace(0, 180, side)
    image = np.stack(
        [ramp[None] + 0 * ramp[:, None], ramp[:, None] + 0 * ramp[None], np.full((side, side), number * 5)], 2
    )
    return image.astype(np.uint8)


def test_a_film_shows_the_enlarged_frames_at_their_times(record, make_result, tmp_path) -> None:
    sink = record()
    times = [0.0, 0.04, 0.08, 0.2, 0.9, 1.0]
    feed(sink, [make_result(k, clock=50 + t, sr=smooth(k)) for k, t in enumerate(times)])
    sink.stop(10.0)
    stem = "cam1-20231114T221410-000Z-000000-edge-s-x2"
    assert names(tmp_path) == [f"{stem}.jsonl", f"{stem}.mp4"]
    frames = frames_of(tmp_path / "films" / f"{stem}.mp4")
    assert [t for t, _ in frames] == pytest.approx(times, abs=2e-4)
    for k, (_, image) in enumerate(frames):
        assert np.abs(image.astype(int) - smooth(k)).mean() < 3
    lines = [json.loads(line) for line in (tmp_path / "films" / f"{stem}.jsonl").read_text().splitlines()]
    assert [(line["at"], line["frame"]) for line in lines] == list(zip(times, range(6), strict=True))
    assert lines[0]["method"] == "edge-s-x2"
    assert not lines[0]["fallback"]


def test_a_film_is_never_a_mixture_and_its_name_says_what_it_is(record, make_result, tmp_path) -> None:
    sink = record(video=["sr", "camera"])
    ways = [{}, {"method": "bicubic", "fallback": True}, {"method": "passthrough", "scale": 1, "fallback": True}, {}]
    feed(sink, [make_result(k, **way) for k, way in enumerate(ways)])
    feed(sink, [make_result(9, source="cam/2")])
    sink.stop(10.0)
    ends = [name.split("Z-")[1] for name in names(tmp_path, ".mp4")]
    assert ends == [
        "000000-camera.mp4", "000000-edge-s-x2.mp4", "000001-bicubic-fallback.mp4",
        "000002-passthrough-fallback.mp4", "000003-edge-s-x2.mp4", "000009-camera.mp4", "000009-edge-s-x2.mp4",
    ]  # fmt: skip
    assert [name for name in names(tmp_path, ".mp4") if name.startswith("cam_2-")]
    path = next((tmp_path / "films").glob("*bicubic*.mp4"))
    with av.open(str(path)) as container:
        assert "fallback, not the configured model" in container.metadata["title"]


def test_odd_sizes_grey_and_16_bit_frames_are_filmed(record, make_result, tmp_path) -> None:
    sink = record()
    feed(sink, [make_result(0, sr=np.full((33, 51, 1), 40_000, np.uint16))])
    sink.stop(10.0)
    ((_, image),) = frames_of(tmp_path / "films" / names(tmp_path, ".mp4")[0])
    assert image.shape == (34, 52, 3)
    assert abs(image.mean() - 40_000 / 257) < 3


def test_segments_end_after_their_time(record, make_result, tmp_path) -> None:
    sink = record(segment="1s")
    feed(sink, [make_result(k, clock=k * 0.25) for k in range(10)])
    sink.stop(10.0)
    assert [len(frames_of(tmp_path / "films" / name)) for name in names(tmp_path, ".mp4")] == [4, 4, 2]


def test_the_budget_is_kept_by_the_oldest_of_its_own(record, make_result, tmp_path) -> None:
    sink = record(segment="200ms", budget="150kB")
    (tmp_path / "films" / "holiday.mp4").write_bytes(bytes(10**6))
    sink._next_look = 0.0
    for k in range(60):
        sink._next_look = 0.0  # look at each frame
        feed(sink, [make_result(k, clock=k * 0.1, size=60)])
    sink.stop(10.0)
    kept = names(tmp_path, ".mp4")
    assert "holiday.mp4" in kept
    sizes = sum((tmp_path / "films" / name).stat().st_size for name in names(tmp_path) if name != "holiday.mp4")
    assert sizes < 250_000
    ours = [name for name in kept if name != "holiday.mp4"]
    assert len(ours) >= 2
    assert ours[-1].split("Z-")[1].startswith("000058")


@pytest.mark.parametrize(("fallback", "shown"), [(False, "sr"), (True, "fallback")])
def test_a_pair_is_the_cameras_picture_the_enlarged_one_and_their_data(
    record, make_result, tmp_path, scratch, fallback, shown
) -> None:
    sink = record(video=[], pairs="png")
    quiet = make_result(0, dtype=np.uint16)
    result = make_result(1, dtype=np.uint16, detections=(scratch,), fallback=fallback, consistency=2.0)
    feed(sink, [quiet, result])
    sink.stop(10.0)
    (data,) = names(tmp_path, ".json")
    record_ = json.loads((tmp_path / "films" / data).read_text())
    assert (record_["cause"], record_["frame"], record_["consistency"]) == ("detection", 1, 2.0)
    assert record_["detections"][0]["label"] == "scratch"
    assert set(record_["pictures"]) == {"camera", shown}
    assert names(tmp_path) == sorted([data, *record_["pictures"].values()])
    camera = read_image(tmp_path / "films" / record_["pictures"]["camera"]).pixels
    assert np.array_equal(camera, result.frame.image)
    assert np.array_equal(read_image(tmp_path / "films" / record_["pictures"][shown]).pixels, result.sr)
    assert ("fallback" in record_["pictures"][shown]) == fallback
    assert sink.counters()["pairs"] == 1


def test_an_encoder_that_is_too_slow_leaves_frames_out_and_counts_them(record, make_result, wait_until) -> None:
    sink = record()
    real = sink._record
    sink._record = lambda *args: (time.sleep(0.05), real(*args))
    began = time.monotonic()
    for k in range(30):
        sink.accept(make_result(k))
    assert time.monotonic() - began < busy()
    assert wait_until(lambda: sink.counters()["queue"] == 0)
    sink.stop(10.0)
    counters = sink.counters()
    assert counters["late"] > 10
    assert counters["late"] + counters["frames"] == 30


def test_one_frame_that_cannot_be_written_does_not_end_the_recording(record, make_result, wait_until) -> None:
    sink = record()
    sink.accept(make_result(0, model_hash="no hash"))
    assert wait_until(lambda: "frame 0 of cam1" in sink.trouble)
    sink.accept(make_result(1))
    assert wait_until(lambda: sink.counters()["frames"] == 1)
    assert sink.trouble == ""


def test_a_film_that_cannot_be_begun_leaves_no_file(record, make_result, wait_until, tmp_path, monkeypatch) -> None:
    sink = record()
    monkeypatch.setattr("sharpline.line.sinks.film.av.open", lambda *_, **__: 1 / 0)
    for number in range(5):
        sink.accept(make_result(number))
    assert wait_until(lambda: "frame 4 of cam1: ZeroDivisionError" in sink.trouble)
    assert names(tmp_path) == []
    assert sink._files.names() == []


def test_a_pair_that_cannot_be_ended_is_forgotten_and_its_pictures_count(
    record, make_result, wait_until, monkeypatch
) -> None:
    sink = record(video=[], pairs="png", on=["each"])
    monkeypatch.setattr("sharpline.line.sinks.recorder.whole_file", lambda *_, **__: 1 / 0)
    sink.accept(make_result(0))
    assert wait_until(lambda: "ZeroDivisionError" in sink.trouble)
    assert not [name for name in sink._files.names() if name.endswith(".json")]


LINE = """
import sys, time
import numpy as np
from sharpline.line.frame import Frame, Result
from sharpline.line.sinks.config import SinkConfig, make_sink
sink = make_sink(SinkConfig.model_validate({"recorder": {"folder": sys.argv[1], "reserve": "1B"}}), None)
sink.start()
pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
for number in range(100_000):  # twenty times as fast as a camera
    frame = Frame("cam1", number, pixels, 1.7e9 + number / 25, number / 25)
    sink.accept(Result(frame, pixels, 1, "passthrough", "", True, 0.0, number / 25))
    while sink.counters()["queue"] > 1:
        time.sleep(0.0005)
    print(number, flush=True)
"""


@pytest.mark.slow
def test_a_kill_costs_a_few_seconds_of_film_at_most(record, tmp_path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", LINE, str(tmp_path / "films")], stdout=subprocess.PIPE, text=True, env=environment
    ) as line:
        last = 0
        while last < 300:
            last = int(line.stdout.readline())
        line.kill()
    assert names(tmp_path, ".mp4") == []
    sink = record()  # the next start finishes what the killed one left
    (film,) = names(tmp_path, ".mp4")
    frames = frames_of(tmp_path / "films" / film)
    assert len(frames) >= last - 3 * 25
    assert names(tmp_path, ".part") == []
    sink.stop()
