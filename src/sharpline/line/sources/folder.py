"""A folder that a camera or another program puts pictures into."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sharpline.errors import ImageError
from sharpline.line.frame import Array
from sharpline.line.sources.camera import CameraError, Shot
from sharpline.pixels.reading import read_image

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif"})
_POLL = 0.1
_PATIENCE = 3.0  # seconds that a file may stay undecodable before it is given up
_State = tuple[int, int, int]  # what changes when a file is written or replaced


@dataclass
class Seen:
    """What a watched folder has shown so far; outlives the handles, so that no file is shown twice.

    Attributes:
        states: Of each file that is done with.
        begun: The folder was looked at once.
    """

    states: dict[str, _State] = field(default_factory=dict)
    begun: bool = False


class FolderCamera:
    """Pictures that appear in a folder, each once, oldest first. Nothing is deleted or changed.

    A file is taken when it is whole: its size and time are the same at two looks and it can be decoded. Names that
    begin with a dot, other suffixes and folders are left alone. A file that is written anew is a new picture. When
    watching, what was there before the source started is not shown: it is not live.

    Args:
        path: the folder.
        seen: memory over all handles of this source.
        replay: show all that is there, by name, then end.
    """

    def __init__(self, path: Path, seen: Seen, *, replay: bool = False) -> None:
        self._path, self._seen, self._replay = path, seen, replay
        self._waiting: dict[str, tuple[_State, float]] = {}  # since when a file is in that state
        self._ready: Iterator[Shot] = iter(())
        self._interrupted = threading.Event()

    def open(self) -> None:
        """Looks at it.

        Raises:
            CameraError: it cannot be read.
        """
        found = self._look()
        if not self._seen.begun and not self._replay:
            self._seen.states = found
        self._seen.begun = True

    def read(self) -> Shot | None:
        """The next whole picture, or a loss where one stays broken.

        Raises:
            CameraError: the folder cannot be read any more.
        """
        while not self._interrupted.is_set():
            if (shot := next(self._ready, None)) is not None:
                return shot
            new = self._news()
            self._ready = self._shots(new)
            if self._replay and not new:
                return None
            if not new or not self._replay:
                self._interrupted.wait(_POLL)
        return None

    def interrupt(self) -> None:
        """Ends a waiting read."""
        self._interrupted.set()

    def close(self) -> None:
        """There is nothing to let go of."""

    def _look(self) -> dict[str, _State]:
        found = {}
        try:
            with os.scandir(self._path) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or Path(entry.name).suffix.lower() not in _SUFFIXES:
                        continue
                    if (state := _state_of(entry)) is not None:
                        found[entry.name] = state
        except OSError as error:
            raise CameraError(f"folder {self._path}: {error.strerror}") from None
        return found

    def _news(self) -> list[tuple[str, _State, float]]:
        """Files to be tried: unchanged since the look before, oldest first; and since when."""
        found, now = self._look(), time.monotonic()
        done = self._seen.states
        for name in done.keys() - found.keys():  # memory stays as small as the folder
            del done[name]
        new = {name: state for name, state in found.items() if done.get(name) != state}
        before = self._waiting
        self._waiting = {
            name: before[name] if name in before and before[name][0] == state else (state, now)
            for name, state in new.items()
        }
        if self._replay:
            return [(name, *self._waiting[name]) for name in sorted(new)]
        still = [(name, *self._waiting[name]) for name in new if name in before and before[name][0] == new[name]]
        return sorted(still, key=lambda item: (item[1][2], item[0]))

    def _shots(self, new: list[tuple[str, _State, float]]) -> Iterator[Shot]:
        for name, state, since in new:
            try:
                image = _samples(self._path / name)
            except ImageError:
                if not self._replay and time.monotonic() < since + _PATIENCE:
                    continue  # perhaps it is still being written
                self._seen.states[name] = state
                yield Shot(None, time.monotonic(), dropped={"damaged": 1})
            else:
                if _state_of(self._path / name) != state:
                    continue  # written anew meanwhile: which of the two was read?
                self._seen.states[name] = state
                yield Shot(image, time.monotonic())


def _state_of(file: Path | os.DirEntry[str]) -> _State | None:
    """Of a file; None for whatever else there is of that name, or nothing any more."""
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _samples(path: Path) -> Array:
    """The pixels of a file, float ones as uint16; transparency is not shown."""
    pixels = read_image(path).pixels
    if pixels.dtype.kind == "f":
        return (np.clip(pixels, 0, 1) * 65535 + 0.5).astype(np.uint16)
    return np.array(pixels)
