"""The outbox's file: one owner, damage, other people's files, full disks."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import subprocess
import sys
from collections import namedtuple

import pytest

from sharpline.errors import UsageError
from sharpline.line.sinks.config import OutboxConfig
from sharpline.line.sinks.event import Parcel
from sharpline.line.sinks.outbox import Outbox
from sharpline.line.sinks.outbox_entries import OutboxError

Usage = namedtuple("Usage", "total used free")


def parcel(key: str, size: int = 1000) -> Parcel:
    return Parcel(key, f'{{"id":"{key}"}}', {"sr": bytes(size)})


def keys(outbox: Outbox, destination: str = "a") -> list[str]:
    found = []
    while (entry := outbox.first(destination)) is not None:
        found.append(entry.parcel.id)
        outbox.ack(entry.number)
    return found


def test_a_second_process_is_told_who_has_it(tmp_path) -> None:
    path = tmp_path / "outbox.sqlite"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from sharpline.line.sinks.outbox import Outbox; from sharpline.line.sinks.config import OutboxConfig\n"
        "outbox = Outbox(OutboxConfig(path=Path(sys.argv[1]))); print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(UsageError, match=rf"process {other.pid}\) has this outbox open"):
            Outbox(OutboxConfig(path=path))
        other.kill()
        other.wait()
        Outbox(OutboxConfig(path=path)).close()  # a killed process keeps nothing locked


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be looked at" * 100, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_database_is_kept_aside_and_said_once(tmp_path, caplog, content) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        outbox = Outbox(OutboxConfig(path=path))
    outbox.put("a", parcel("1"))
    assert keys(outbox) == ["1"]
    outbox.close()
    assert [p.read_bytes() for p in tmp_path.glob("outbox.sqlite.damaged-*")] == [content]
    assert outbox.damaged == 1
    assert len(caplog.records) == 1
    assert "was damaged and is kept as" in caplog.text


def test_a_disk_that_damages_one_after_the_other_is_not_filled_with_them(tmp_path) -> None:
    others = tmp_path / "other.sqlite.damaged-20200101T000000.000000"
    others.write_bytes(b"of another line")
    for number in range(6):
        (tmp_path / "outbox.sqlite").write_bytes(b"no database %d" % number)
        Outbox(OutboxConfig(path=tmp_path / "outbox.sqlite")).close()
    kept = sorted(tmp_path.glob("outbox.sqlite.damaged-*"))
    assert [path.read_bytes()[-1:] for path in kept] == [b"3", b"4", b"5"]
    assert others.exists()


def test_damage_inside_is_found_when_it_is_opened(tmp_path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(OutboxConfig(path=path))
    for k in range(20):
        outbox.put("a", parcel(str(k), 5000))
    outbox.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    outbox = Outbox(OutboxConfig(path=path))
    assert outbox.damaged == 1
    assert outbox.counts("a")["waiting"] == 0
    outbox.close()
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


def test_damage_while_it_runs_begins_a_new_one_and_the_new_event_is_kept(tmp_path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(OutboxConfig(path=path))
    for k in range(20):
        outbox.put("a", parcel(str(k), 5000))
    outbox._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.write(b"\xff" * 16384)
    for connection in (outbox._writer, outbox._reader):
        connection.execute("PRAGMA shrink_memory")  # what is cached would hide it
    outbox.put("a", parcel("new"))
    assert keys(outbox) == ["new"]
    assert outbox.damaged == 1
    outbox.close()


def test_another_programs_database_is_left_alone(tmp_path) -> None:
    path = tmp_path / "theirs.sqlite"
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE accounts (name)")
    theirs.close()
    with pytest.raises(UsageError, match="another program's database"):
        Outbox(OutboxConfig(path=path))
    assert [p.name for p in tmp_path.glob("theirs*damaged*")] == []


def test_a_later_versions_outbox_is_left_alone(tmp_path) -> None:
    path = tmp_path / "outbox.sqlite"
    Outbox(OutboxConfig(path=path)).close()
    with sqlite3.connect(path) as later:
        later.execute("PRAGMA user_version = 2")
    later.close()
    with pytest.raises(UsageError, match="later Sharpline"):
        Outbox(OutboxConfig(path=path))


def test_a_folder_that_takes_no_file_is_said(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="name another file under outbox: path"):
        Outbox(OutboxConfig(path=tmp_path / "file" / "outbox.sqlite"))


def test_a_full_disk_refuses_the_new_event_and_keeps_the_old(tmp_path) -> None:
    """SQLite itself says that the disk is full: its file may not grow."""
    outbox = Outbox(OutboxConfig(path=tmp_path / "outbox.sqlite"))
    outbox.put("a", parcel("1", 20_000))
    pages = outbox._writer.execute("PRAGMA page_count").fetchone()[0]
    outbox._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutboxError, match="full"):
        outbox.put("a", parcel("2", 50_000))
    assert outbox.counts("a") == {"waiting": 1, "dead": 0, "dropped": 0}
    outbox._writer.execute("PRAGMA max_page_count = 100000")
    outbox.put("a", parcel("3"))
    assert keys(outbox) == ["1", "3"]
    outbox.close()


def test_a_disk_with_little_room_is_not_filled(tmp_path, monkeypatch) -> None:
    """What the disk has is told by a stand-in for ``shutil.disk_usage``."""
    outbox = Outbox(OutboxConfig(path=tmp_path / "outbox.sqlite", reserve="100MB"))
    free = [10**9]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**10, 0, free[0]))
    for k in range(4):
        outbox.put("a", parcel(str(k), 500_000))
    before = (tmp_path / "outbox.sqlite").stat().st_size
    free[0] = 100 * 10**6  # nothing beyond the reserve
    for k in range(4, 40):
        outbox.put("a", parcel(str(k), 500_000))
    left = keys(outbox)
    assert left == [str(k) for k in range(40 - len(left), 40)], "the newest stay, in order"
    assert outbox.counts("a")["dropped"] == 40 - len(left)
    assert (tmp_path / "outbox.sqlite").stat().st_size - before < 20 * 10**6, "at most the log's room was used again"
    outbox.close()


def test_it_holds_pictures_and_is_nobody_elses_to_read(tmp_path) -> None:
    Outbox(OutboxConfig(path=tmp_path / "outbox.sqlite")).close()
    assert (tmp_path / "outbox.sqlite").stat().st_mode & 0o077 == 0


def test_the_file_stays_near_its_budget(tmp_path) -> None:
    outbox = Outbox(OutboxConfig(path=tmp_path / "outbox.sqlite", budget="8MB"))
    for k in range(200):
        outbox.put("a", parcel(str(k), 150_000))
    assert outbox.bytes <= 8 * 10**6
    assert (tmp_path / "outbox.sqlite").stat().st_size < 1.1 * 8 * 10**6
    assert outbox.counts("a")["waiting"] + outbox.counts("a")["dropped"] == 200
    outbox.close()


def test_after_close_every_call_says_so(tmp_path) -> None:
    outbox = Outbox(OutboxConfig(path=tmp_path / "outbox.sqlite"))
    outbox.close()
    outbox.close()
    with pytest.raises(OutboxError):
        outbox.put("a", parcel("1"))
    with pytest.raises(OutboxError):
        outbox.first("a")
