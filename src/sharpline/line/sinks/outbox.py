"""The outbox: events wait on disk until their receiver has acknowledged them.

An event is safe from the moment ``put`` returns: it is in SQLite's write-ahead log, and that is on the disk
(``synchronous=FULL``), so that neither a killed process nor a power cut loses it. What ``ack`` removes may come back
after a power cut (``synchronous=NORMAL``): it is then sent again under the same id, which its receiver recognises.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from sharpline.errors import UsageError
from sharpline.line.sinks import outbox_file, outbox_room
from sharpline.line.sinks.config import OutboxConfig
from sharpline.line.sinks.event import Parcel
from sharpline.line.sinks.outbox_entries import Changes, DeadLetter, Entry, OutboxError, Place, RenewedError


class Outbox:
    """A queue on disk for each destination, all in one file. Safe to use from many threads.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     outbox = Outbox(OutboxConfig(path=Path(folder) / "outbox.sqlite"))
        ...     outbox.put("webhook", Parcel("5f3c", "{}", {"sr": b"jpeg"}))
        ...     entry = outbox.first("webhook")
        ...     outbox.ack(entry.number)
        ...     entry.parcel.id, outbox.first("webhook")
        ...     outbox.close()
        ('5f3c', None)
    """

    def __init__(self, config: OutboxConfig) -> None:
        """Opens the file, or makes it.

        Raises:
            UsageError: Another process has it, it is another program's, or cannot be opened.
        """
        self._config = config
        self._path = config.path.absolute()
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._claimed: set[str] = set()
        self._dropped: Counter[str] = Counter()
        self._counts: Counter[Place] = Counter()
        self._bytes = 0
        self.damaged = 0
        self._lock = outbox_file.lock(self._path)
        self._ready = False
        try:
            self._open()
        except outbox_file.DiskError:
            pass  # the line runs without it, and says so with each event, until there is room
        except BaseException:
            self._lock.close()
            raise

    def _open(self) -> None:
        try:
            self._writer, self._reader = outbox_file.connect(self._path)
        except outbox_file.DamagedError:
            self.damaged += 1
            outbox_file.set_aside(self._path)
            self._writer, self._reader = outbox_file.connect(self._path)
        rows = self._writer.execute("SELECT destination, dead IS NOT NULL, count(*) FROM events GROUP BY 1, 2")
        self._counts = Counter({(where, bool(dead)): count for where, dead, count in rows})
        self._bytes = self._writer.execute("SELECT coalesce(sum(size), 0) FROM events").fetchone()[0]
        self._ready = True

    def _ensure_open(self) -> None:
        """Tries again what the disk did not allow before. ``_writing`` is held."""
        if self._ready:
            return
        if self._lock.closed:
            raise OutboxError(f"{self._path} is closed")
        try:
            self._open()
        except (outbox_file.DiskError, UsageError, OSError) as error:
            raise OutboxError(str(error)) from None

    def close(self) -> None:
        """Closes the file and lets others have it. May be called twice; afterwards every call raises OutboxError."""
        with self._writing, self._reading:
            for connection in (self._reader, self._writer) if self._ready else ():
                with suppress(sqlite3.Error):
                    connection.close()
            self._ready = False
            self._lock.close()

    def claim(self, destination: str) -> None:
        """Says that events of this destination will be delivered by the caller alone.

        Raises:
            UsageError: Another sink has the same destination.
        """
        with self._writing:
            if destination in self._claimed:
                raise UsageError(f"{destination} is configured twice: make one sink of the two")
            self._claimed.add(destination)

    def put(self, destination: str, parcel: Parcel) -> None:
        """Takes an event. Where the budget or the disk has no room, the oldest events make it.

        Raises:
            OutboxError: It could not be kept.
        """
        try:
            self._put(destination, parcel)
        except RenewedError:
            self._put(destination, parcel)

    def _put(self, destination: str, parcel: Parcel) -> None:
        size = outbox_room.size_of(parcel)
        with self._transaction("FULL") as changes:
            limit = outbox_room.limit(self._writer, self._path, self._config)
            if size > limit:
                raise OutboxError(f"{self._path}: no room for an event of {size / 1e6:.1f} MB; make room on the disk")
            while self._bytes + changes.bytes + size > limit:
                self._drop_oldest(changes)
            row = self._writer.execute(
                "INSERT INTO events (destination, id, document, size, made) VALUES (?, ?, ?, ?, ?)",
                (destination, parcel.id, parcel.document, size, time.time()),
            )
            pictures = [(row.lastrowid, name, data) for name, data in parcel.pictures.items()]
            self._writer.executemany("INSERT INTO pictures VALUES (?, ?, ?)", pictures)
            changes.add((destination, False), size)

    def first(self, destination: str) -> Entry | None:
        """The oldest event that waits for this destination.

        Raises:
            OutboxError: The file cannot be read.
        """
        if not self._ready:
            with self._writing:
                self._ensure_open()
        with self._reading:
            try:
                return self._read_first(destination)
            except sqlite3.Error as error:
                damage = self._trouble(error)
        self._renew_after(damage)
        return None

    def _read_first(self, destination: str) -> Entry | None:
        query = "SELECT number, id, document FROM events WHERE destination = ? AND dead IS NULL ORDER BY number LIMIT 1"
        rows = self._reader.execute(query, (destination,)).fetchall()
        if not rows:
            return None
        number, key, document = rows[0]
        pictures = self._reader.execute("SELECT name, data FROM pictures WHERE event = ?", (number,)).fetchall()
        return Entry(number, Parcel(key, document, dict(pictures)))

    def ack(self, number: int) -> None:
        """Removes an event that its receiver has acknowledged; nothing happens if it is gone already.

        Raises:
            OutboxError: It could not be removed; ask again, or it will be sent again.
        """
        with self._transaction("NORMAL") as changes:
            self._delete(number, changes)

    def bury(self, number: int, reason: str) -> None:
        """Makes an event a dead letter: kept, with the reason, as long as the budget has room.

        Raises:
            OutboxError: The disk did not take it.
        """
        with self._transaction("NORMAL") as changes:
            row = self._writer.execute("SELECT destination FROM events WHERE number = ? AND dead IS NULL", (number,))
            for (destination,) in row.fetchall():
                self._writer.execute("UPDATE events SET dead = ? WHERE number = ?", (reason[:500], number))
                changes.counts.update({(destination, False): -1, (destination, True): 1})

    def dead_letters(self) -> list[DeadLetter]:
        """All of them, oldest first.

        Raises:
            OutboxError: The file cannot be read.
        """
        query = "SELECT number, destination, id, made, dead FROM events WHERE dead IS NOT NULL ORDER BY number"
        with self._reading:
            try:
                return [DeadLetter(*row) for row in self._reader.execute(query).fetchall()]
            except sqlite3.Error as error:
                raise self._failure(error) from None

    def revive(self, destination: str) -> int:
        """Lets the dead letters of a destination wait again, in their old places; how many.

        Raises:
            OutboxError: The disk did not take it.
        """
        with self._transaction("FULL") as changes:
            query = "UPDATE events SET dead = NULL WHERE destination = ? AND dead IS NOT NULL"
            count = self._writer.execute(query, (destination,)).rowcount
            changes.counts.update({(destination, False): count, (destination, True): -count})
        return count

    def counts(self, destination: str) -> Mapping[str, int]:
        """``waiting`` and ``dead`` events of a destination, and how many were ``dropped`` for room since the start."""
        waiting, dead = self._counts[destination, False], self._counts[destination, True]
        return {"waiting": waiting, "dead": dead, "dropped": self._dropped[destination]}

    @property
    def bytes(self) -> int:
        """What the events in it take."""
        return self._bytes

    def _drop_oldest(self, changes: Changes) -> None:
        query = "SELECT number, dead IS NULL FROM events ORDER BY dead IS NULL, number LIMIT 1"
        rows = self._writer.execute(query).fetchall()
        if not rows:
            raise OutboxError(f"{self._path}: no room on the disk")
        ((number, lost),) = rows
        destination = self._delete(number, changes)
        if lost and destination is not None:
            changes.dropped[destination] += 1

    def _delete(self, number: int, changes: Changes) -> str | None:
        query = "DELETE FROM events WHERE number = ? RETURNING destination, dead IS NOT NULL, size"
        for destination, dead, size in self._writer.execute(query, (number,)).fetchall():
            changes.counts[destination, bool(dead)] -= 1
            changes.bytes -= size
            return str(destination)
        return None

    @contextmanager
    def _transaction(self, synchronous: str) -> Iterator[Changes]:
        """All of it or nothing; the numbers in memory change with the file."""
        changes, damage = Changes(), False
        with self._writing:
            self._ensure_open()
            try:
                self._writer.execute(f"PRAGMA synchronous = {synchronous}")
                self._writer.execute("BEGIN IMMEDIATE")
                yield changes
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                damage = self._trouble(error)
            except OSError as error:
                self._roll_back()
                raise OutboxError(f"{self._path}: {error.strerror}") from None
            except BaseException:
                self._roll_back()
                raise
            else:
                self._counts.update(changes.counts)
                self._dropped.update(changes.dropped)
                self._bytes += changes.bytes
        self._renew_after(damage)
        if damage:
            raise RenewedError(f"{self._path} was damaged; a new one was begun")

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def _trouble(self, error: sqlite3.Error) -> bool:
        """True for a damaged file.

        Raises:
            OutboxError: It is something else.
        """
        if outbox_file.is_damage(error):
            return True
        raise self._failure(error) from None

    def _failure(self, error: sqlite3.Error) -> OutboxError:
        return OutboxError(f"{self._path}: {error}; make room on the disk, or look whether it is sound")

    def _renew_after(self, damage: bool) -> None:
        """Puts a damaged file aside, once, however many threads found it."""
        if not damage:
            return
        with self._writing, self._reading:
            with suppress(sqlite3.Error):
                if not self._ready or self._writer.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok":
                    return
            for connection in (self._reader, self._writer):
                connection.close()
            self._ready = False
            with suppress(outbox_file.DiskError, UsageError, OSError):  # tried again with the next call
                outbox_file.set_aside(self._path)
                self.damaged += 1
                self._open()
