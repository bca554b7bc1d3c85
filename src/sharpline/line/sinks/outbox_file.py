"""The outbox's file: opened by one process only, made when missing, renamed aside when damaged."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from sharpline.errors import UsageError

_LOG = logging.getLogger("sharpline.line")
_OURS = 0x53484C4F  # application_id: "SHLO"
_VERSION = 1
_SCHEMA = f"""
PRAGMA auto_vacuum = NONE;
PRAGMA application_id = {_OURS};
PRAGMA user_version = {_VERSION};
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    destination TEXT NOT NULL,
    id TEXT NOT NULL,
    document TEXT NOT NULL,
    size INTEGER NOT NULL,
    made REAL NOT NULL,
    dead TEXT
);
CREATE INDEX waiting ON events (destination, number) WHERE dead IS NULL;
CREATE TABLE pictures (
    event INTEGER NOT NULL REFERENCES events (number) ON DELETE CASCADE,
    name TEXT NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX picture ON pictures (event);
"""
_ASIDE = ("", "-wal", "-shm")
_KEPT = 3  # damaged files, each as large as the budget: a failing disk makes one after the other


class DamagedError(Exception):
    """The file is no database, or not a sound one."""


class DiskError(Exception):
    """The disk does not let it be opened now; one line for the operator."""


def lock(path: Path) -> IO[str]:
    """Takes the outbox for this process, until the returned file is closed or the process ends.

    Raises:
        UsageError: Another one has it, or the folder cannot be used.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(path.name + ".lock").open("a+")
    except OSError as error:
        raise UsageError(f"{path}: cannot be made ({error.strerror}); name another file under outbox: path") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise UsageError(
            f"{path}: a line that is running (process {owner}) has this outbox open; give each line its own, "
            "or stop that one first"
        ) from None
    with suppress(OSError):  # a full disk: the lock holds without the number
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
    return file


def connect(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """A connection that writes and one that reads. The lock is to be held.

    Raises:
        DamagedError: It is no database, or not sound.
        DiskError: The disk is full or fails.
        UsageError: It is another program's database, a later version's, or cannot be opened.
    """
    with ExitStack() as opened:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # it holds pictures of the line
            writer, reader = (opened.enter_context(closing(_connection(path))) for _ in range(2))
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute("PRAGMA journal_size_limit = 16000000")
            writer.execute("PRAGMA secure_delete = OFF")  # Debian's SQLite would write zeros over what was delivered
            _check(path, writer)
            writer.execute("PRAGMA foreign_keys = ON")
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                raise DamagedError(str(error)) from None
            if _code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                raise DiskError(f"{path}: {error}; make room on the disk, or look whether it is sound") from None
            raise UsageError(f"{path}: cannot be opened ({error}); name another file under outbox: path") from None
        except OSError as error:
            raise UsageError(f"{path}: cannot be opened ({error.strerror}); name another under outbox: path") from None
        opened.pop_all()
    return writer, reader


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing; the lock need not be held.

    Raises:
        sqlite3.Error: It cannot be opened, or is not a database.
        UsageError: It is another program's database, or a later version's.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
    try:
        _ours(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _connection(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)


def _check(path: Path, connection: sqlite3.Connection) -> None:
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        return
    _ours(path, connection)
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise DamagedError(verdict)
    if not connection.execute("SELECT count(*) FROM events").fetchone()[0]:
        connection.execute("VACUUM")  # a file keeps the size of its worst day otherwise


def _ours(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != _OURS:
        raise UsageError(f"{path}: is another program's database; name another file under outbox: path")
    if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        raise UsageError(f"{path}: was made by a later Sharpline; use that, or name another file under outbox: path")


def set_aside(path: Path) -> Path:
    """Renames a damaged outbox, says so, and returns the new name. The last three are kept."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    for ending in _ASIDE:
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    _LOG.warning("%s was damaged and is kept as %s; a new outbox was begun", path, aside.name)
    with suppress(OSError):  # another time
        _forget_older(path, aside)
    return aside


def _forget_older(path: Path, aside: Path) -> None:
    names = {other.name[: len(aside.name)] for other in path.parent.iterdir()}
    others = sorted(name for name in names - {aside.name} if name.startswith(f"{path.name}.damaged-"))
    for name in others[: 1 - _KEPT]:
        for ending in _ASIDE:
            path.with_name(name + ending).unlink(missing_ok=True)
        _LOG.warning("%s was removed: %d later ones are kept", name, _KEPT)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is damaged, not that the disk is full or busy."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
