"""What a run writes down while it goes: ``metrics.csv`` and TensorBoard's scalars and pictures."""

from __future__ import annotations

import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sharpline.lab.training.board import Board
from sharpline.lab.training.writing import unwritten, written


@dataclass(frozen=True)
class Entry:
    """One row of ``metrics.csv``.

    Attributes:
        step: steps done.
        seconds: spent in steps, validation and saving apart.
        loss: mean since the last entry.
        psnr_y: validation, dB.
        rate: factor of the learning rates.
        patches_per_second: over all processes, since the last entry.
    """

    step: int
    seconds: float
    loss: float
    psnr_y: float
    rate: float
    patches_per_second: float


class Logbook:
    """Appends to the run's folder; a context manager.

    Args:
        folder: the run's.
        step: where the run starts or goes on; later entries of an interrupted run are forgotten.

    Raises:
        SharplineError: the disk is full or the folder has gone.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._table = folder / "metrics.csv"
        _forget_after(self._table, step)
        try:
            self._board = Board(folder / "tensorboard", step)
        except OSError as error:
            raise unwritten(folder / "tensorboard", error) from None

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the files."""
        self._board.close()

    def add(self, entry: Entry, picture: NDArray[np.uint8]) -> None:
        """Note an entry, and a picture [H, W, 3] of what the network makes at this step.

        Raises:
            SharplineError: the disk is full or the folder has gone.
        """
        try:
            with self._table.open("a", newline="") as file:
                rows = csv.writer(file)
                if file.tell() == 0:
                    rows.writerow([field.name for field in fields(Entry)])
                rows.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in astuple(entry)])
            values = {name: getattr(entry, name) for name in ("loss", "psnr_y", "rate", "patches_per_second")}
            self._board.add(entry.step, values, {"LR, network, original": picture})
        except OSError as error:
            raise unwritten(self._table, error) from None


def read_entries(folder: Path) -> list[Entry]:
    """The rows of a run's ``metrics.csv``."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [Entry(int(row.pop("step")), **{k: float(v) for k, v in row.items()}) for row in csv.DictReader(file)]


def _forget_after(table: Path, step: int) -> None:
    """Drop validations that a crash left in the table but that the resumed run will do again, and a row cut short."""
    if table.exists() and table.stat().st_size:
        header, *rows = table.read_text().splitlines()
        whole = [row for row in rows if row.count(",") == header.count(",")]
        kept = [row for row in whole if int(row.split(",")[0]) <= step]
        with written(table) as file:
            file.write(("\n".join([header, *kept]) + "\n").encode())
