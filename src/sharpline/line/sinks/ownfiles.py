"""A folder in which one recorder removes its own oldest files, and no others."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from sharpline.errors import UsageError
from sharpline.pixels.atomic import whole_file

_LEDGER = ".sharpline-recorder"  # names of the files that are ours, oldest first
_GONE = 10_000  # names of files that are there no more, after which it is written anew


class OwnFiles:
    """What the recorder has made in its folder.

    A name is written into the ledger before its file is made, so that none of ours is forgotten. A file that is not
    in the ledger is somebody's, whatever it is called: it is never removed or overwritten.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     files = OwnFiles(Path(folder), budget=1000, reserve=0)
        ...     for name in ("a", "b", "c"):
        ...         path = files.claim(name)
        ...         _ = path.write_bytes(bytes(600))
        ...         files.finished(path)
        ...     files.make_room()
        ...     sorted(path.name for path in Path(folder).glob("[a-z]"))
        True
        ['c']
    """

    def __init__(self, folder: Path, budget: int, reserve: int) -> None:
        """Takes the folder for this recorder.

        Raises:
            UsageError: It cannot be used, or another recorder has it.
        """
        self._folder, self._budget, self._reserve = folder, budget, reserve
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise UsageError(f"{folder}: cannot be used for recordings ({error.strerror}); name another") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise UsageError(f"{folder}: another recorder writes there; give each its own folder") from None
        try:
            self._sizes = self._read()  # None while a file is being written
            self._ledger = self._shortened()
        except OSError as error:
            os.close(self._lock)
            raise UsageError(f"{folder}: cannot be used for recordings ({error.strerror}); name another") from None

    def _read(self) -> dict[str, int | None]:
        ledger, sizes = self._folder / _LEDGER, dict[str, int | None]()
        names = ledger.read_text(errors="replace").splitlines() if ledger.exists() else []
        for name in names:
            path = self._folder / name
            if name == Path(name).name and path.is_file() and not path.is_symlink():
                sizes[name] = path.stat().st_size
        return sizes

    def _shortened(self) -> TextIO:
        """The ledger, written anew without those that are gone."""
        path = self._folder / _LEDGER
        with suppress(OSError), whole_file(path, overwrite=True) as file:  # on a full disk the long one will do
            file.write("".join(f"{name}\n" for name in self._sizes).encode())
        self._listed = len(self._sizes)
        return path.open("a")

    def names(self) -> list[str]:
        """All of them, oldest first."""
        return list(self._sizes)

    def claim(self, name: str) -> Path:
        """Where a file of this name is to be written; with a number if the name is taken.

        Raises:
            OSError: The disk does not take the ledger.
        """
        stem, _, ending = name.partition(".")
        free, tries = name, 1
        while os.path.lexists(self._folder / free) or free in self._sizes:
            tries += 1
            free = f"{stem}-{tries}.{ending}"
        self._ledger.write(f"{free}\n")
        self._ledger.flush()
        self._listed += 1
        self._sizes[free] = None
        return self._folder / free

    def finished(self, path: Path) -> None:
        """Says that a file is complete, or was given up and is not there."""
        if path.exists():
            self._sizes[path.name] = path.stat().st_size
        else:
            self._sizes.pop(path.name, None)

    def remove(self, path: Path) -> None:
        """Removes a file of ours."""
        path.unlink(missing_ok=True)
        self._sizes.pop(path.name, None)

    def rename(self, path: Path, name: str) -> Path:
        """Gives a file of ours its final name and counts it as complete.

        Raises:
            OSError: The disk does not take the ledger; the file keeps its name.
        """
        final = self.claim(name)
        try:
            path.rename(final)
            self._sizes.pop(path.name, None)
        finally:
            self.finished(final)
        return final

    def size(self) -> int:
        """Bytes of all of them."""
        return sum(self._size(name) for name in self._sizes)

    def _size(self, name: str) -> int:
        known = self._sizes[name]
        if known is not None:
            return known
        with suppress(OSError):
            return (self._folder / name).stat().st_size
        return 0

    def make_room(self) -> bool:
        """Removes the oldest complete files until budget and reserve are kept; whether the reserve is.

        Raises:
            OSError: The folder cannot be looked at, or a file not be removed.
        """
        total = self.size()
        for name in [name for name, size in self._sizes.items() if size is not None]:
            if total <= self._budget and self._spare():
                break
            total -= self._size(name)
            self.remove(self._folder / name)
        if self._listed - len(self._sizes) >= _GONE:
            long, self._ledger = self._ledger, self._shortened()
            with suppress(OSError):
                long.close()
        return self._spare()

    def _spare(self) -> bool:
        return shutil.disk_usage(self._folder).free >= self._reserve

    def close(self) -> None:
        """Lets others have the folder. May be called twice."""
        if not self._ledger.closed:
            with suppress(OSError):  # a full disk took its last line before, or not
                self._ledger.close()
            os.close(self._lock)
