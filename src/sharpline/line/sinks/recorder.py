"""Keeps films and picture pairs in a folder. What the files are called and hold stands in docs/sinks.md."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sharpline.errors import ImageError
from sharpline.line.frame import Array, Result
from sharpline.line.sinks.config import RecorderConfig, Shown
from sharpline.line.sinks.event import legend, record_of, stamp
from sharpline.line.sinks.film import Failure, Film, playable
from sharpline.line.sinks.ownfiles import OwnFiles
from sharpline.line.sinks.trigger import Occasion, Trigger
from sharpline.pixels.atomic import whole_file
from sharpline.pixels.writing import write_image

_WAITING = 8  # results that may wait for the encoder
_PAUSE = 10.0  # seconds without recording after the disk was full
_LOOK = 1.0  # seconds between looks at budget and disk
_PART = ".part"
_NOTHING = Occasion("every", {})


class Recorder:
    """See :class:`sharpline.line.parts.Sink`. Encodes in a thread of its own; frames it has no time for are counted."""

    def __init__(self, config: RecorderConfig) -> None:
        self._config = config
        self._trigger = Trigger(config)
        self._queue: deque[tuple[Result, Occasion | None]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"record {config.folder}", daemon=True)
        self._films: dict[tuple[str, Shown], tuple[Film, str]] = {}
        self._next_look = self._paused_until = 0.0
        self._frames = self._pairs = self._late = self._missed = 0
        self._bytes = 0
        self._trouble = ""

    @property
    def name(self) -> str:
        """Kind and place."""
        return f"recorder {self._config.folder}"

    @property
    def trouble(self) -> str:
        """What is wrong now, one line; empty when all is well."""
        return self._trouble

    def start(self) -> None:
        """Takes the folder, finishes films that a killed process left, and begins.

        Raises:
            UsageError: The folder cannot be used.
        """
        self._files = OwnFiles(self._config.folder, self._config.budget, self._config.reserve)
        self._recover()
        self._thread.start()

    def accept(self, result: Result) -> None:
        """Takes a result; where the encoder does not keep up, the oldest that waits is left out."""
        with self._changed:
            if self._closing:
                return
            occasion = None if self._config.pairs == "none" else self._trigger(result)
            if len(self._queue) >= _WAITING:
                self._queue.popleft()
                self._late += 1
            self._queue.append((result, occasion))
            self._changed.notify_all()

    def stop(self, timeout: float = 5.0) -> None:
        """Writes what waits, as far as there is time, and ends the films."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def counters(self) -> Mapping[str, float]:
        """``frames`` on film, ``pairs``, frames left out ``late`` or for want of a disk (``missed``), ``bytes``."""
        counts = {"frames": self._frames, "pairs": self._pairs, "late": self._late, "missed": self._missed}
        return counts | {"queue": len(self._queue), "bytes": self._bytes}

    def _recover(self) -> None:
        for name in self._files.names():
            path = self._config.folder / name
            if not name.endswith(_PART) or not path.exists():
                continue
            if name.endswith(".mp4" + _PART) and not playable(path):
                self._files.remove(path)
            else:
                self._final(path)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    break
                result, occasion = self._queue.popleft()
            try:
                self._record(result, occasion)
            except Failure as error:
                self._pause(getattr(error, "strerror", None) or str(error))
            except ImageError as error:
                self._pause(str(error))
            except Exception as error:  # one frame that cannot be written must not end the recording
                self._trouble = f"frame {result.frame.number} of {result.frame.source}: {type(error).__name__}: {error}"
        self._end_films()
        self._files.close()

    def _record(self, result: Result, occasion: Occasion | None) -> None:
        now = time.monotonic()
        if now < self._paused_until:
            self._missed += 1
            return
        if now >= self._next_look:
            self._next_look = now + _LOOK
            self._look()
        record = record_of(result, occasion or _NOTHING).model_dump(mode="json")
        for what in self._config.video:
            self._film(result, what, record)
        if occasion is not None:
            self._pair(result, record | {"cause": occasion.cause})
        self._trouble = ""

    def _look(self) -> None:
        if not self._files.make_room():
            raise OSError(0, "the disk is full")
        self._bytes = self._files.size()

    def _pause(self, why: str) -> None:
        """Stops recording for a while; what was recorded is kept."""
        self._end_films()
        self._missed += 1
        self._paused_until = time.monotonic() + _PAUSE
        self._trouble = f"{self._config.folder}: {why}; nothing is recorded until there is room"

    def _film(self, result: Result, what: Shown, record: dict[str, Any]) -> None:
        """Adds a frame to its film. Another size or method, or the time, begins a new one: no film is a mixture."""
        image = result.frame.image if what == "camera" else result.sr
        made, clock = _made(result, what), result.frame.clock
        key, size = (result.frame.source, what), (image.shape[1], image.shape[0])
        film, before = self._films.get(key, (None, ""))
        if film is not None and (before != made or film.size != size or self._long(film, clock)):
            self._end(key)
            film = None
        if film is None:
            film = self._begun(result, what, size)
            self._films[key] = (film, made)
        film.add(image, clock, record)
        self._frames += 1

    def _long(self, film: Film, clock: float) -> bool:
        """Whether a film has its length, or so much of the budget that little would be left of the others."""
        large = film.path.stat().st_size > self._config.budget // 4
        return large or clock - film.began >= self._config.segment or clock < film.began

    def _begun(self, result: Result, what: Shown, size: tuple[int, int]) -> Film:
        stem = f"{_stem(result)}-{_made(result, what)}"
        begun = list[Path]()
        try:
            begun += (self._files.claim(f"{stem}.{ending}{_PART}") for ending in ("mp4", "jsonl"))
            return Film(begun[0], begun[1], size, legend(result, what), result.frame.clock)
        except BaseException:
            for path in begun:  # else more of them are left each time, and no budget counts them
                self._files.remove(path)
            raise

    def _end(self, key: tuple[str, Shown]) -> None:
        film, _ = self._films.pop(key)
        film.close()
        for path in (film.path, film.lines):
            self._final(path)

    def _final(self, path: Path) -> None:
        try:
            self._files.rename(path, path.name.removesuffix(_PART))
        except OSError:  # a full disk has no room for the ledger's line: it keeps its name until the next start
            self._files.finished(path)

    def _end_films(self) -> None:
        for key in list(self._films):
            self._end(key)

    def _pair(self, result: Result, record: dict[str, Any]) -> None:
        """The camera's picture, the enlarged one and the data; the data last, so that where it is the pair is whole."""
        stem, camera = _stem(result), result.frame.image
        shown = "fallback" if result.fallback else "sr"
        names = {"camera": self._written(f"{stem}-camera.png", camera)}
        names[shown] = self._written(f"{stem}-{_made(result, 'sr')}.{self._config.pairs}", result.sr)
        path = self._files.claim(f"{stem}.json")
        try:
            with whole_file(path, overwrite=False) as file:
                file.write(json.dumps(record | {"pictures": names}, indent=2).encode())
        finally:
            self._files.finished(path)
        self._pairs += 1

    def _written(self, name: str, image: Array) -> str:
        path = self._files.claim(name)
        try:
            write_image(path, image)
        finally:
            self._files.finished(path)
        return path.name


def _stem(result: Result) -> str:
    """Source, moment and number: how the files of a frame begin."""
    moment = re.sub(r"[-:]", "", stamp(result.frame.captured)).replace(".", "-")
    return f"{_plain(result.frame.source)}-{moment}-{result.frame.number:06d}"


def _made(result: Result, what: Shown) -> str:
    if what == "camera":
        return "camera"
    return _plain(result.method) + ("-fallback" if result.fallback else "")


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:80]
