"""Files in, files out: reading, network and writing overlap, so that no core waits for a codec."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from sharpline.errors import ImageError, SharplineError
from sharpline.pixels.formats import check_writable_format, format_of
from sharpline.pixels.picture import Picture
from sharpline.pixels.reading import DEFAULT_MAX_PIXELS, read_image
from sharpline.pixels.writing import write_image
from sharpline.runtime.pictures import upscale_picture
from sharpline.runtime.targets import Job
from sharpline.runtime.upscaler import Enlarges, engine_of

_READ_AHEAD = 2
_WRITERS = 2
# Results waiting for an encoder are held in memory; above this many pixels the network waits.
_UNWRITTEN_PIXELS = 48_000_000


@dataclass
class Outcome:
    """What became of one job.

    Attributes:
        job: the job.
        error: one line, or None if the target was written.
        lr_size: (width, height) read, or None if nothing was.
        sr_size: (width, height) written, or None.
        engine: what computed, or None.
        seconds: time of ``read``, ``upscale`` and ``write``; they overlap with other pictures' times.
    """

    job: Job
    error: str | None = None
    lr_size: tuple[int, int] | None = None
    sr_size: tuple[int, int] | None = None
    engine: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def upscale_files(
    jobs: Sequence[Job],
    upscaler: Enlarges,
    *,
    overwrite: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Callable[[Job, float], None] | None = None,
) -> Iterator[Outcome]:
    """Upscale files one after another, reading ahead and writing behind.

    A job that fails yields an outcome with an error and the others go on; nothing is left half-written.

    Args:
        jobs: from :func:`sharpline.runtime.targets.plan`.
        upscaler: the model.
        overwrite: replace existing targets.
        max_pixels: largest picture accepted, before upscaling.
        progress: called with the job and the share of it that the network has done.

    Yields:
        One outcome a job, in order.
    """
    with ThreadPoolExecutor(1, "read") as readers, ThreadPoolExecutor(_WRITERS, "write") as writers:
        waiting = deque(jobs)
        reading: deque[tuple[Outcome, Future[Picture]]] = deque()
        writing: deque[tuple[Outcome, Future[None], int]] = deque()
        try:
            while waiting or reading or writing:
                while waiting and len(reading) < _READ_AHEAD:
                    outcome = Outcome(waiting.popleft())
                    reading.append((outcome, readers.submit(_read, outcome, overwrite, max_pixels)))
                if not reading or sum(pixels for _, _, pixels in writing) > _UNWRITTEN_PIXELS:
                    done, future, _ = writing.popleft()
                    _settle(done, future)
                    yield done
                    continue
                outcome, picture = reading.popleft()
                sr = _upscale(outcome, picture, upscaler, progress)
                pixels = 0 if sr is None else sr.pixels.shape[0] * sr.pixels.shape[1]
                writing.append((outcome, writers.submit(_write, outcome, sr, overwrite), pixels))
                del sr, picture
                while writing and writing[0][1].done():
                    done, future, _ = writing.popleft()
                    _settle(done, future)
                    yield done
        except KeyboardInterrupt:
            for done, future, _ in writing:  # what was finished is told, then the stop goes on
                _settle(done, future)
                yield done
            raise
        finally:  # stopped by the caller: what is being written is finished, nothing new is begun
            readers.shutdown(cancel_futures=True)


def _read(outcome: Outcome, overwrite: bool, max_pixels: int) -> Picture:
    began = time.perf_counter()
    target = outcome.job.target
    if target.exists() and not overwrite:
        raise ImageError(f"{target}: exists already; --overwrite replaces it, --skip-existing leaves it")
    picture = read_image(outcome.job.source, max_pixels=max_pixels)
    outcome.seconds["read"] = time.perf_counter() - began
    return picture


def _upscale(
    outcome: Outcome,
    reading: Future[Picture],
    upscaler: Enlarges,
    progress: Callable[[Job, float], None] | None,
) -> Picture | None:
    job = outcome.job
    try:
        picture = reading.result()
        began = time.perf_counter()
        height, width = picture.pixels.shape[:2]
        outcome.lr_size = (width, height)
        s = upscaler.scale
        # Known before the work is done: what the format cannot hold is refused now.
        _check_fits(job.target, width * s, height * s, picture.transparent)
        tick = None if progress is None else lambda done, total: progress(job, done / total)
        outcome.engine = engine_of(upscaler, picture.pixels)
        sr = upscale_picture(upscaler, picture, progress=tick)
        outcome.seconds["upscale"] = time.perf_counter() - began
        return sr
    except SharplineError as error:
        outcome.error = str(error)
    except MemoryError:
        outcome.error = f"{job.source}: not enough memory for the result; close programs or upscale a crop"
    return None


def _check_fits(target: Path, width: int, height: int, transparent: bool) -> None:
    try:
        check_writable_format(format_of(target).name, width, height, transparent)
    except ImageError as error:
        raise ImageError(f"{target}: {error}") from None


def _write(outcome: Outcome, sr: Picture | None, overwrite: bool) -> None:
    if sr is None:
        return
    began = time.perf_counter()
    target = outcome.job.target
    _make_folder(target.parent)
    write_image(target, sr, overwrite=overwrite)
    outcome.seconds["write"] = time.perf_counter() - began
    outcome.sr_size = (sr.pixels.shape[1], sr.pixels.shape[0])


def _settle(outcome: Outcome, writing: Future[None]) -> None:
    try:
        writing.result()
    except SharplineError as error:
        outcome.error = str(error)
    except MemoryError:
        outcome.error = f"{outcome.job.target}: not enough memory to encode it"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{folder}: cannot be made ({error.strerror})") from None
