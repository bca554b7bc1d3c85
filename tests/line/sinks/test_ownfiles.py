"""A recorder's folder: its own oldest files go, nobody else's."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from sharpline.errors import UsageError
from sharpline.line.sinks.ownfiles import OwnFiles

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def make(tmp_path, request):
    def opened(budget=1000, reserve=0) -> OwnFiles:
        files = OwnFiles(tmp_path / "films", budget, reserve)
        request.addfinalizer(files.close)
        return files

    return opened


def add(files, name, size=400):
    path = files.claim(name)
    path.write_bytes(bytes(size))
    files.finished(path)
    return path


def there(tmp_path):
    return sorted(path.name for path in (tmp_path / "films").iterdir() if not path.name.startswith("."))


def test_the_oldest_of_its_own_go_first_and_others_files_stay(make, tmp_path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a-holiday.mp4").write_bytes(bytes(5000))
    files = make()
    for name in ("c.mp4", "a.mp4", "b.mp4", "d.mp4"):
        add(files, name)
    assert files.make_room()
    assert there(tmp_path) == ["a-holiday.mp4", "b.mp4", "d.mp4"]
    assert files.size() == 800


def test_it_knows_its_own_after_a_restart_and_only_by_its_ledger(make, tmp_path) -> None:
    files = make()
    add(files, "cam1-20260101.mp4")
    files.close()
    (tmp_path / "films" / "cam1-20250101.mp4").write_bytes(bytes(900))  # named like ours, and older
    files = make(budget=100)
    assert files.names() == ["cam1-20260101.mp4"]
    files.make_room()
    assert there(tmp_path) == ["cam1-20250101.mp4"]


def test_a_ledger_that_was_tampered_with_reaches_nothing_outside(make, tmp_path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "folder").mkdir()
    (folder / ".sharpline-recorder").write_text(f"../outside.txt\n{outside}\nlink\nfolder\n..\n\n\x00\n")
    files = make(budget=1)
    assert files.names() == []
    files.make_room()
    assert outside.read_text() == "mine"
    assert (folder / "link").is_symlink()


def test_a_name_that_is_taken_is_never_written_over(make, tmp_path) -> None:
    files = make()
    (tmp_path / "films" / "a.png").write_text("somebody's")
    assert [add(files, "a.png").name for _ in range(2)] == ["a-2.png", "a-3.png"]
    assert (tmp_path / "films" / "a.png").read_text() == "somebody's"


def test_the_ledger_of_a_recorder_that_runs_for_months_does_not_grow(make, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("sharpline.line.sinks.ownfiles._GONE", 20)
    files = make(budget=1000)
    for number in range(200):
        add(files, f"{number:03}.mp4")
        files.make_room()
        lines = (tmp_path / "films" / ".sharpline-recorder").read_text().splitlines()
        assert len(lines) <= 22
        assert set(files.names()) <= set(lines)
    assert there(tmp_path) == ["198.mp4", "199.mp4"]
    files.close()
    assert make().names() == ["198.mp4", "199.mp4"]


def test_a_file_that_is_being_written_counts_and_stays(make, tmp_path) -> None:
    files = make(budget=500)
    add(files, "old.mp4")
    now = files.claim("now.mp4")
    now.write_bytes(bytes(900))
    files.make_room()
    assert there(tmp_path) == ["now.mp4"]
    assert files.size() == 900


def test_the_reserve_is_kept_by_removing_and_said_when_that_is_not_enough(make, tmp_path, monkeypatch) -> None:
    """What the disk has is told by a stand-in for ``shutil.disk_usage``."""
    files = make(budget=10**6, reserve=1000)
    for k in range(5):
        add(files, f"{k}.mp4")
    taken = [900]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 2500 - taken[0] - files.size()))
    assert files.make_room()
    assert there(tmp_path) == ["4.mp4"] or files.size() <= 600
    taken[0] = 2000
    assert not files.make_room()
    assert there(tmp_path) == []


def test_two_recorders_do_not_share_a_folder(make) -> None:
    make()
    with pytest.raises(UsageError, match="another recorder writes there"):
        make()


def test_a_folder_that_cannot_be_made_is_said(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be used for recordings"):
        OwnFiles(tmp_path / "file" / "films", 1000, 0)
