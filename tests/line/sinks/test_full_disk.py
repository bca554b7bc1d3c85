"""A disk that is really full: a small tmpfs. It takes root to mount one; elsewhere these are skipped."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from sharpline.line.sinks import recorder
from sharpline.line.sinks.config import OutboxConfig, SinkConfig, make_sink
from sharpline.line.sinks.event import Parcel
from sharpline.line.sinks.outbox import Outbox
from sharpline.line.sinks.outbox_entries import OutboxError


@pytest.fixture
def small_disk(tmp_path):
    """24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], stderr=subprocess.DEVNULL
    )
    if not mounted:
        pytest.skip("a small file system cannot be mounted here: that takes root")
    yield folder
    subprocess.call(["umount", "-l", folder])


def fill(folder: Path, leave: int = 0) -> Path:
    """Takes what the disk has."""
    path = folder / "somebody's"
    with path.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(1 << 12))
            except OSError:
                break
        if leave:
            file.truncate(file.tell() - leave)
    return path


def test_an_outbox_on_a_full_disk_keeps_what_it_has_and_goes_on_when_there_is_room(small_disk) -> None:
    outbox = Outbox(OutboxConfig(path=small_disk / "outbox.sqlite", reserve="4kB"))
    outbox.put("a", Parcel("0", "{}", {"sr": bytes(200_000)}))
    foreign = fill(small_disk)
    with pytest.raises(OutboxError, match=r"full|no room"):
        outbox.put("a", Parcel("1", "{}", {"sr": bytes(3_000_000)}))
    entry = outbox.first("a")
    assert entry.parcel.id == "0"
    foreign.unlink()
    outbox.put("a", Parcel("2", "{}", {"sr": bytes(200_000)}))
    outbox.ack(entry.number)
    assert outbox.first("a").parcel.id == "2"
    outbox.close()


def test_an_outbox_does_not_fill_the_disk_though_its_budget_would_let_it(small_disk) -> None:
    outbox = Outbox(OutboxConfig(path=small_disk / "outbox.sqlite", budget="1GB", reserve="3MB"))
    for k in range(250):
        outbox.put("a", Parcel(str(k), "{}", {"sr": bytes(100_000)}))
        status = os.statvfs(small_disk)
        assert status.f_bavail * status.f_frsize > 2_500_000
    counts = outbox.counts("a")
    assert counts["waiting"] > 50
    assert counts["waiting"] + counts["dropped"] == 250
    assert outbox.first("a").parcel.id == str(counts["dropped"])
    outbox.close()


def test_a_line_starts_on_a_full_disk_and_keeps_events_when_there_is_room(small_disk) -> None:
    config = OutboxConfig(path=small_disk / "outbox.sqlite", reserve="4kB")
    outbox = Outbox(config)
    outbox.put("a", Parcel("0", "{}", {}))
    outbox.close()
    foreign = fill(small_disk)
    outbox = Outbox(config)
    with pytest.raises(OutboxError, match="make room on the disk"):
        outbox.put("a", Parcel("1", "{}", {}))
    with pytest.raises(OutboxError, match="make room on the disk"):
        outbox.first("a")
    foreign.unlink()
    assert outbox.first("a").parcel.id == "0"
    outbox.put("a", Parcel("2", "{}", {}))
    assert outbox.counts("a")["waiting"] == 2
    outbox.close()


def test_a_recorder_starts_on_a_full_disk(small_disk, make_result, wait_until, monkeypatch) -> None:
    monkeypatch.setattr(recorder, "_PAUSE", 0.1)
    (small_disk / "films").mkdir()
    (small_disk / "films" / ".sharpline-recorder").write_text("a.mp4\n")
    foreign = fill(small_disk)
    settings = {"folder": str(small_disk / "films"), "reserve": "4kB", "pairs": "none"}
    sink = make_sink(SinkConfig.model_validate({"recorder": settings}), None)
    sink.start()
    sink.accept(make_result(0))
    assert wait_until(lambda: sink.trouble)
    foreign.unlink()
    time.sleep(0.2)
    sink.accept(make_result(1))
    assert wait_until(lambda: sink.counters()["frames"] == 1)
    sink.stop(5.0)


def test_a_recorder_stops_on_a_full_disk_says_so_and_resumes(small_disk, make_result, wait_until, monkeypatch) -> None:
    monkeypatch.setattr(recorder, "_PAUSE", 0.3)
    settings = {"folder": str(small_disk / "films"), "on": ["each"], "reserve": "4kB", "budget": "1GB"}
    sink = make_sink(SinkConfig.model_validate({"recorder": settings}), None)
    sink.start()
    sink.accept(make_result(0))
    assert wait_until(lambda: sink.counters()["pairs"] == 1)
    foreign = fill(small_disk)
    for k in range(1, 5):
        sink.accept(make_result(k, size=300))
        time.sleep(0.1)
    assert wait_until(lambda: "nothing is recorded until there is room" in sink.trouble)
    assert foreign.exists()
    foreign.unlink()
    time.sleep(0.4)
    sink.accept(make_result(9))
    assert wait_until(lambda: sink.counters()["pairs"] == 2)
    assert wait_until(lambda: sink.trouble == "")
    sink.stop(5.0)
    # The oldest of its own made room for nothing: the first pair may be gone, never somebody else's file.
    assert sink.counters()["missed"] > 0
