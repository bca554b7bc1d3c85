"""How much the outbox may hold, and how much an event takes."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from sharpline.line.sinks.config import OutboxConfig
from sharpline.line.sinks.event import Parcel

_PAGE = 4096  # bytes: SQLite's
_LOG = 1000 * (_PAGE + 24)  # bytes: SQLite writes its log into the file when it has 1000 pages
_ROW = 512  # bytes of an event's row beside its document


def limit(writer: sqlite3.Connection, path: Path, config: OutboxConfig) -> int:
    """What the events may take now: the budget, or less where the disk has less. Room in the file is used again.

    What is in the log has yet to be written into the file, and the log itself grows up to its checkpoint.

    Raises:
        OSError: The file is not there.
    """
    held = int(writer.execute("PRAGMA page_count").fetchone()[0]) * _PAGE
    log = path.with_name(path.name + "-wal")
    coming = held - path.stat().st_size + _LOG - (log.stat().st_size if log.exists() else 0)
    spare = shutil.disk_usage(path.parent).free - config.reserve - max(0, coming)
    return min(config.budget, held + max(0, spare))


def size_of(parcel: Parcel) -> int:
    """Bytes of an event on disk: whatever is large takes whole pages.

    Example:
        >>> size_of(Parcel("5f3c", "{}", {"sr": bytes(4092)}))
        8192
    """
    parts = [len(parcel.document.encode()) + _ROW, *map(len, parcel.pictures.values())]
    return sum(-(-part // (_PAGE - 4)) * _PAGE for part in parts)
