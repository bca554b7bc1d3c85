"""The upscaler's thread: takes a frame, enlarges it by what the machine can do in time, says everything about it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy.typing as npt

from sharpline.line.flow.ladder import Ladder
from sharpline.line.flow.mailboxes import Mailboxes
from sharpline.line.flow.rungs import AS_IT_IS, RegionError, Rung
from sharpline.line.frame import Frame, Result
from sharpline.line.guard import Guard
from sharpline.line.supervision import Seldom

Array = npt.NDArray[Any]
Made = tuple[Rung, Array, float, float]  # by what, pixels, share of reused tiles, seconds
_log = logging.getLogger(__name__)
REGION = "region"  # the kind of an alarm
_ACTIVE = 5.0  # seconds without a frame after which a camera needs no share of the machine


class Enlarging:
    """Makes results of frames.

    A way that fails is replaced by the next for that frame, and left if it goes on failing. Where all fail, the
    result is the frame as it is. A camera whose regions are wrong has its frames made by the next way that needs none;
    the others keep theirs.

    Args:
        boxes: Where frames wait.
        rungs: The ways, best first.
        ladder: Which of them the machine can afford.
        guard: Checks frames and results.
        emit: Called with each result and a sentence by kind for all that is wrong with it.
        deadline: Seconds that an enlargement may take.
        rate: Frames a second that every camera has to get, or ``camera``; None: take the time it takes (replay).
    """

    def __init__(
        self,
        boxes: Mailboxes,
        rungs: Sequence[Rung],
        ladder: Ladder,
        guard: Guard,
        emit: Callable[[Result, Mapping[str, str]], None],
        *,
        deadline: float,
        rate: float | Literal["camera"] | None,
    ) -> None:
        self._boxes, self._rungs, self._ladder, self._guard, self._emit = boxes, rungs, ladder, guard, emit
        self._deadline, self._rate = deadline, rate
        self._seldom = Seldom()
        self._said = rungs[0].name  # the way that people were told of
        self.failures = 0

    @property
    def rung(self) -> int:
        """Number of the way that is in use, 0 for the model."""
        return self._ladder.rung

    @property
    def method(self) -> str:
        """Name of the way that is in use."""
        return self._rungs[self._ladder.rung].name

    def step(self, timeout: float = 0.2) -> None:
        """Enlarges the frame whose turn it is, if one comes in time."""
        frame = self._boxes.take(timeout)
        if frame is None:
            return
        try:
            self._enlarge(frame)
        except Exception:
            self._boxes.lose(frame, "failed")
            raise

    def _enlarge(self, frame: Frame) -> None:
        problems: dict[str, str] = {}
        rung, sr, reused, seconds = self._tried(frame, problems) or self._made(frame, problems)
        finished = time.monotonic()
        error, found = self._guard.check(frame, sr, finished)
        problems.update(found)
        result = Result(
            frame=frame,
            sr=sr,
            scale=rung.scale,
            method=rung.name,
            model_hash=rung.model_hash,
            fallback=rung is not self._rungs[0],
            seconds=seconds,
            finished=finished,
            consistency=error,
            alarms=tuple(problems.values()),
            reused=reused,
        )
        self._emit(result, problems)
        if REGION not in problems:
            self._tell(rung)

    def _tell(self, rung: Rung) -> None:
        """One line in the log whenever another way is taken."""
        if rung.name == self._said:
            return
        self._said = rung.name
        if rung is self._rungs[0]:
            _log.info("frames are made by %s again", rung.name)
        else:
            _log.warning("frames are made by %s: the machine is too slow for better, or it fails", rung.name)

    def _tried(self, frame: Frame, problems: dict[str, str]) -> Made | None:
        """By the better way, where it is time to try it and it holds. A trial that fails leaves the picture alone."""
        if not self._ladder.due(time.monotonic()):
            return None
        made = self._by(self._ladder.rung - 1, frame, problems)
        if REGION in problems:  # another camera's frame has to tell
            return None
        load = math.inf if made is None else self._load(frame, made[3])
        return made if self._ladder.tried(load, time.monotonic()) else None

    def _made(self, frame: Frame, problems: dict[str, str]) -> Made:
        first = self._ladder.rung
        for number in range(first, len(self._rungs)):
            made = self._by(number, frame, problems)
            if number == first and REGION not in problems:
                load = math.inf if made is None else self._load(frame, made[3])
                self._ladder.observe(load, time.monotonic())
            if made is not None:
                return made
        return AS_IT_IS, frame.image, 0.0, 0.0

    def _by(self, number: int, frame: Frame, problems: dict[str, str]) -> Made | None:
        rung, begin = self._rungs[number], time.monotonic()
        try:
            sr, reused = rung.enlarge(frame)
        except RegionError as error:
            problems[REGION] = str(error)
            return None
        except Exception as error:
            self.failures += 1
            problems["model"] = f"{rung.name} failed: {' '.join(str(error).split())[:200] or type(error).__name__}"
            if self._seldom(problems["model"]):
                _log.warning("%s, frame %d: %s", frame.source, frame.number, problems["model"])
            return None
        return rung, sr, reused, time.monotonic() - begin

    def _load(self, frame: Frame, seconds: float) -> float:
        """Seconds that were taken over seconds that may be."""
        if self._rate is None:
            return 0.0
        own = self._boxes.rate(frame.source)
        wanted = own if self._rate == "camera" else self._rate if own is None else min(self._rate, own)
        share = math.inf if wanted is None else 1 / (wanted * max(1, self._boxes.active(_ACTIVE)))
        return seconds / min(self._deadline, share)
