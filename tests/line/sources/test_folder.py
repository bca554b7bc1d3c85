import os
import shutil
import threading
import time

import numpy as np
import pytest
from PIL import Image

from patience import PATIENCE, eventually
from sharpline.line.sources import folder as folder_module
from sharpline.line.sources.config import FolderSource, make_source
from sharpline.line.sources.folder import FolderCamera, Seen


def save(path, value, size=(8, 6), moment=None):
    """A picture that appears under its name at once, with the nanoseconds of its time."""
    Image.fromarray(np.full((size[1], size[0], 3), value, np.uint8)).save(path.with_suffix(".tmp"), "PNG")
    if moment is not None:
        os.utime(path.with_suffix(".tmp"), ns=(moment, moment))
    path.with_suffix(".tmp").replace(path)


@pytest.fixture
def watched(tmp_path):
    """A folder, its running source and the values of the frames."""
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "old.png", 1)
    source, frames = make_source(FolderSource(name="dir", folder=folder, retry="100ms")), []
    source.start(frames.append)
    assert eventually(lambda: source._connections == 1)
    yield folder, source, frames
    source.stop()


def values(frames):
    return [int(frame.image[0, 0, 0]) for frame in frames]


def test_each_new_file_once_and_nothing_is_touched(watched):
    folder, source, frames = watched
    for number in range(2, 7):
        save(folder / f"{number}.png", number, moment=number)
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"x")
    (folder / "sub.png").mkdir()
    assert eventually(lambda: len(frames) == 5)
    listing = sorted(path.name for path in folder.iterdir())
    save(folder / "7.png", 7)
    assert eventually(lambda: len(frames) == 6)
    assert values(frames) == [2, 3, 4, 5, 6, 7], "not the old one, oldest first, each once"
    assert sorted([*listing, "7.png"]) == sorted(path.name for path in folder.iterdir())
    assert source.state == "running"


def test_a_folder_that_nothing_is_put_into_runs(watched):
    folder, source, frames = watched
    assert (source.state, source.trouble, frames) == ("running", "", [])
    folder.rename(folder.with_name("away"))
    assert eventually(lambda: source.state == "reconnecting")
    folder.with_name("away").rename(folder)
    assert eventually(lambda: source.state == "running")


def test_a_file_that_is_replaced_while_it_is_read_is_shown_once(tmp_path, monkeypatch):
    save(tmp_path / "a.png", 1)
    camera, read = FolderCamera(tmp_path, Seen(begun=True)), folder_module.read_image

    def replaced(path):
        monkeypatch.setattr(folder_module, "read_image", read)
        save(path, 2)
        return read(path)

    monkeypatch.setattr(folder_module, "read_image", replaced)
    shots = []
    thread = threading.Thread(target=lambda: shots.extend(iter(camera.read, None)))
    thread.start()
    assert eventually(lambda: shots)
    time.sleep(1)
    camera.interrupt()
    thread.join(PATIENCE)
    assert [int(shot.image[0, 0, 0]) for shot in shots] == [2]


def test_a_file_that_is_written_slowly_is_shown_when_whole(watched):
    folder, source, frames = watched
    whole = folder.parent / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(whole)
    data = whole.read_bytes()
    with (folder / "slow.png").open("wb") as file:
        for part in (data[:2000], data[2000:7000]):
            file.write(part)
            file.flush()
            assert not eventually(lambda: bool(frames), 0.5), "half a picture is none"
        file.write(data[7000:])
    assert eventually(lambda: len(frames) == 1)
    assert source.counters()["dropped_damaged"] == 0


def test_a_broken_file_is_given_up_and_counted(watched):
    folder, source, frames = watched
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    assert eventually(lambda: source.counters()["dropped_damaged"] == 1)
    save(folder / "next.png", 9)
    assert eventually(lambda: len(frames) == 1)
    assert frames[0].dropped == {"damaged": 1}


def test_a_name_that_is_written_again_is_a_new_picture(watched):
    folder, _, frames = watched
    for value in (3, 4):
        save(folder / "latest.png", value)
        assert eventually(lambda value=value: values(frames)[-1:] == [value])


def test_the_folder_goes_and_comes_back(watched):
    folder, source, frames = watched
    save(folder / "2.png", 2)
    assert eventually(lambda: len(frames) == 1)
    shutil.move(folder, folder.with_name("away"))
    assert eventually(lambda: source.state == "reconnecting")
    assert source.trouble == f"folder {folder}: No such file or directory"
    shutil.move(folder.with_name("away"), folder)
    save(folder / "3.png", 3)
    assert eventually(lambda: len(frames) == 2)
    assert values(frames) == [2, 3]


def test_replay_shows_all_by_name_and_ends(tmp_path):
    for name, value in (("b.png", 2), ("a.png", 1), ("c.png", 3)):
        save(tmp_path / name, value)
    (tmp_path / "bad.png").write_bytes(b"nothing")
    sixteen = np.full((6, 8), 40000, np.uint16)
    Image.fromarray(sixteen).save(tmp_path / "d.png")
    source, frames = make_source(FolderSource(name="dir", folder=tmp_path), replay=True), []
    source.start(frames.append)
    assert source.join(PATIENCE)
    assert values(frames) == [1, 2, 3, 40000]
    assert (frames[3].image.dtype, frames[3].image.shape) == (np.uint16, (6, 8, 1))
    assert source.counters()["dropped_damaged"] == 1


def test_replay_of_no_folder_says_so(tmp_path):
    source = make_source(FolderSource(name="dir", folder=tmp_path / "none"), replay=True)
    source.start(lambda frame: None)
    assert source.join(PATIENCE)
    assert "No such file" in source.trouble
