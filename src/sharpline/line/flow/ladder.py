"""Which way of enlarging the machine can afford: down when it is too slow, up again when it has time to spare."""

from __future__ import annotations

from collections import deque
from statistics import median

_WINDOW = 5  # frames: a single slow one, or a single fast one, decides nothing
_SLACK = 0.7  # share of the budget that the better way may need before it is taken again
_LONGEST = 16  # a better way that fails its trials is tried ever more seldom, down to once in so many periods


class Ladder:
    """Walks between ways of enlarging, best first, by the load: seconds that a frame took over seconds it may take.

    Down one rung when the median load of five frames is above 1. Up one rung when, some time after the last change,
    one frame enlarged by the better way on trial needs no more than 0.7 of the budget. A failed trial doubles the
    wait for the next, and so does a rung that did not hold for long. Between 0.7 and 1 nothing changes: at a
    constant load, within those 30 %, it never goes up again what it came down.

    Args:
        rungs: Number of ways.
        climb_after: Seconds without a change before a better way is tried.

    Example:
        >>> ladder = Ladder(rungs=2, climb_after=10)
        >>> for now in range(5):
        ...     ladder.observe(load=1.5, now=now)
        >>> ladder.rung, ladder.due(now=13), ladder.due(now=15)
        (1, False, True)
        >>> ladder.tried(load=0.5, now=15), ladder.rung
        (True, 0)
    """

    def __init__(self, rungs: int, climb_after: float) -> None:
        self.rung = 0
        self.changes = 0
        self._last = rungs - 1
        self._period = self._wait = climb_after
        self._since = self._climbed = float("-inf")
        self._loads: deque[float] = deque(maxlen=_WINDOW)

    def observe(self, load: float, now: float) -> None:
        """Notes what a frame cost on the present rung, and goes down if it is too much.

        Args:
            load: Seconds taken / seconds allowed; infinite where the way failed.
            now: :func:`time.monotonic`.
        """
        self._loads.append(load)
        if self.rung == self._last or len(self._loads) < _WINDOW or median(self._loads) <= 1:
            return
        held = now - self._climbed
        self._wait = min(2 * self._wait, _LONGEST * self._period) if held < 4 * self._period else self._period
        self._change(self.rung + 1, now)

    def due(self, now: float) -> bool:
        """Whether the next frame is to be enlarged by the better way, on trial."""
        return self.rung > 0 and now - self._since >= self._wait

    def tried(self, load: float, now: float) -> bool:
        """Notes what a trial cost; True: the better way is taken, and the frame with it."""
        if load > _SLACK:
            self._wait = min(2 * self._wait, _LONGEST * self._period)
            self._since = now
            return False
        self._climbed = now
        self._change(self.rung - 1, now)
        return True

    def _change(self, rung: int, now: float) -> None:
        self.rung, self._since = rung, now
        self.changes += 1
        self._loads.clear()
