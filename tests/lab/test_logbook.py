"""What a run writes down while it goes: TensorBoard and the table, also after it was cut short."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sharpline.errors import SharplineError
from sharpline.lab.training import logbook
from sharpline.lab.training.logbook import Entry, Logbook, read_entries

PICTURE = np.full((8, 24, 3), 200, np.uint8)


def entry(step: int, loss: float = 0.5) -> Entry:
    return Entry(step, 1.0, loss, 30.0, 1.0, 5.0)


def note(folder: Path, begin: int, *entries: Entry) -> None:
    with Logbook(folder, begin) as book:
        for one in entries:
            book.add(one, PICTURE)


def test_tensorboard_sees_scalars_and_pictures_of_the_resumed_run_alone(tmp_path: Path) -> None:
    note(tmp_path, 0, entry(10), entry(20), entry(30, loss=9.0))
    note(tmp_path, 20, entry(30, loss=0.25))  # the state of step 20 was the last that was saved
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(board.Tags()["scalars"]) == {"loss", "psnr_y", "rate", "patches_per_second"}
    assert [(seen.step, seen.value) for seen in board.Scalars("loss")] == [(10, 0.5), (20, 0.5), (30, 0.25)]
    pictures = board.Images("LR, network, original")
    assert [(seen.step, seen.width, seen.height) for seen in pictures] == [(10, 24, 8), (20, 24, 8), (30, 24, 8)]
    assert [(one.step, one.loss) for one in read_entries(tmp_path)] == [(10, 0.5), (20, 0.5), (30, 0.25)]


@pytest.mark.parametrize("left", ["", "10,1,0.5,30,1,5\n1", "10,1,0.5,30,1,5\n30,1,0.5"])
def test_a_table_that_was_cut_short_goes_on(tmp_path: Path, left: str) -> None:
    head = "step,seconds,loss,psnr_y,rate,patches_per_second\n"
    (tmp_path / "metrics.csv").write_text(head + left if left else "")
    note(tmp_path, 30, entry(40))
    assert [one.step for one in read_entries(tmp_path)] == ([10, 40] if left else [40])


@pytest.mark.parametrize("broken", ["__init__", "add"])
def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(logbook.Board, broken, full)
    with pytest.raises(SharplineError, match=r"cannot be written \(No space left on device\); make room, then go on"):
        note(tmp_path, 0, entry(10))
