"""What lies in an outbox, for people: what waits, and the dead letters, which can be sent again or thrown away."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sharpline.errors import UsageError
from sharpline.line.sinks import outbox_file
from sharpline.line.sinks.outbox_entries import DeadLetter


@dataclass(frozen=True)
class Held:
    """What an outbox holds.

    Attributes:
        waiting: Events that will be delivered, by destination.
        dead: Those that their receivers refused, oldest first.
    """

    waiting: dict[str, int]
    dead: list[DeadLetter]


def look(path: Path) -> Held:
    """Reads an outbox, also that of a line that runs; changes nothing.

    Args:
        path: Its file.

    Raises:
        UsageError: There is no such file, or it is no outbox.
    """
    _there(path)
    try:
        with closing(outbox_file.connect_to_read(path)) as connection:
            rows = connection.execute("SELECT destination, dead IS NULL FROM events").fetchall()
            query = "SELECT number, destination, id, made, dead FROM events WHERE dead IS NOT NULL ORDER BY number"
            dead = [DeadLetter(*row) for row in connection.execute(query).fetchall()]
    except sqlite3.Error as error:
        raise UsageError(f"{path}: cannot be read as an outbox ({error})") from None
    counts = Counter({name: 0 for name, _ in rows})
    counts.update(name for name, waits in rows if waits)
    return Held(dict(sorted(counts.items())), dead)


def revive(path: Path) -> int:
    """Lets all dead letters wait again, in their old places: the line sends them when it next runs.

    Returns:
        How many.

    Raises:
        UsageError: There is no such file, it is no outbox, or a line that runs has it.
    """
    return _change(path, "UPDATE events SET dead = NULL WHERE dead IS NOT NULL")


def discard(path: Path) -> int:
    """Deletes all dead letters and their pictures.

    Returns:
        How many.

    Raises:
        UsageError: There is no such file, it is no outbox, or a line that runs has it.
    """
    return _change(path, "DELETE FROM events WHERE dead IS NOT NULL")


def _there(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"{path}: no such outbox; 'outbox: path' in the line's configuration says where it is")


def _change(path: Path, statement: str) -> int:
    _there(path)
    look(path)  # so that another program's file gets no lock beside it
    with outbox_file.lock(path):
        try:
            writer, reader = outbox_file.connect(path)
        except (outbox_file.DamagedError, outbox_file.DiskError) as error:
            raise UsageError(f"{path}: cannot be changed ({error})") from None
        with closing(writer), closing(reader):
            try:
                return writer.execute(statement).rowcount
            except sqlite3.Error as error:
                raise UsageError(f"{path}: cannot be changed ({error}); make room on the disk") from None
