"""Still pictures behind the operator's page: each is enlarged when somebody looks at it."""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from sharpline.console.feed import Alarm
from sharpline.errors import SharplineError, UsageError
from sharpline.line.frame import Frame, Result
from sharpline.line.parts import SourceState
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.formats import INPUT_SUFFIXES
from sharpline.pixels.reading import read_image
from sharpline.runtime.upscaler import Enlarges

_KEPT = 3  # enlarged pictures in memory: the one that is looked at and its neighbours
_LARGEST = 50_000_000  # pixels of an enlarged picture: as many as a browser shows without pain


def pictures_at(path: Path) -> dict[str, Path]:
    """The picture files that a path stands for, by the name that the page shows.

    Args:
        path: A picture, or a folder of pictures (those in it, sorted, not those below).

    Raises:
        UsageError: There is nothing.
    """
    if path.is_file():
        return {path.name: path}
    if not path.is_dir():
        raise UsageError(f"{path}: no such file or folder; check the path")
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in INPUT_SUFFIXES and file.is_file())
    if not found:
        raise UsageError(f"{path}: there are no pictures in this folder")
    return {file.name: file for file in found}


class Stills:
    """A :class:`~sharpline.console.feed.Feed` of picture files.

    Args:
        files: The files by name, from :func:`pictures_at`.
        enlarge: What enlarges them.
        model_hash: SHA-256 of its file, empty for interpolation.
    """

    stale_after = None

    def __init__(self, files: Mapping[str, Path], enlarge: Enlarges, model_hash: str = "") -> None:
        self._files, self._enlarge, self._hash = dict(files), enlarge, model_hash
        self._results: OrderedDict[str, Result] = OrderedDict()
        self._troubles: dict[str, str] = {}
        self._watchers: dict[str, list[Callable[[], None]]] = {}
        self._wanted: queue.LifoQueue[str] = queue.LifoQueue()  # who leafs through a folder waits for the last page
        self._done = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="stills", daemon=True).start()

    @property
    def names(self) -> Sequence[str]:
        """The file names, sorted."""
        return list(self._files)

    def subscribe(self, source: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Somebody looks at a picture: it is enlarged now."""
        with self._lock:
            self._watchers.setdefault(source, []).append(wake)
            self._troubles.pop(source, None)  # looked at again: tried again
        self._wanted.put(source)

        def end() -> None:
            with self._lock:
                if wake in self._watchers.get(source, []):
                    self._watchers[source].remove(wake)

        return end

    def latest(self, source: str) -> Result | None:
        """The enlarged picture, None until it is ready."""
        with self._lock:
            return self._results.get(source)

    def state(self, source: str) -> SourceState:
        """``connecting`` while it is enlarged, ``closed`` where it cannot be."""
        with self._lock:
            if source in self._results:
                return "running"
            return "closed" if source in self._troubles else "connecting"

    def trouble(self, source: str) -> str:
        """Why it cannot be shown."""
        with self._lock:
            return self._troubles.get(source, "")

    def counters(self, source: str) -> Mapping[str, float]:
        """Nothing is counted of a still."""
        return {}

    def alarms(self) -> Sequence[Alarm]:
        """There are none."""
        return ()

    def acknowledge(self, number: int) -> bool:
        """There is nothing to acknowledge."""
        return False

    def shown(self, source: str, seconds: float) -> None:
        """A still has no latency."""

    def health(self) -> Sequence[str]:
        """All is well."""
        return ()

    def metrics(self) -> str:
        """How many pictures were enlarged."""
        return f"# TYPE sharpline_stills_enlarged_total counter\nsharpline_stills_enlarged_total {self._done}\n"

    def _work(self) -> None:
        while True:
            name = self._wanted.get()
            with self._lock:
                watched = bool(self._watchers.get(name))
                ready = name in self._results
                if ready:
                    self._results.move_to_end(name)
            if watched and not ready:
                self._make(name)
            with self._lock:
                watchers = list(self._watchers.get(name, ()))
            for wake in watchers:
                wake()

    def _make(self, name: str) -> None:
        try:
            result = self._enlarged(name)
        except Exception as error:  # of whatever library: the others can still be looked at
            said = isinstance(error, SharplineError)
            with self._lock:
                self._troubles[name] = str(error) if said else f"{name}: {type(error).__name__}: {error}"
            return
        with self._lock:
            self._done += 1
            self._results[name] = result
            while len(self._results) > _KEPT:
                self._results.popitem(last=False)

    def _enlarged(self, name: str) -> Result:
        path = self._files[name]
        image = read_image(path, max_pixels=_LARGEST // self._enlarge.scale**2).pixels
        if image.dtype == np.float32:
            image = convert_depth(np.clip(image, 0, 1), np.uint16)
        begin = time.monotonic()
        sr = self._enlarge(image)
        end = time.monotonic()
        frame = Frame(name, self._done, image, path.stat().st_mtime, begin)
        card = self._enlarge.card
        return Result(frame, sr, card.scale, card.name, self._hash, fallback=False, seconds=end - begin, finished=end)
