"""Is a picture that has just arrived also new? After a freeze, servers and libraries hand out what they had kept."""

from __future__ import annotations

from collections import deque
from statistics import mean, median
from typing import Literal

Verdict = Literal["fresh", "stale", "unsure"]

_REMEMBERED = 31  # spacings; their median is the usual one
_DRIFT = 1e-3  # a camera's crystal is off by less, so a lag that grows this slowly is its clock's
_SHORTEST = 0.005
_HOLD = 0.25
_AT_REST = 0.85  # of the usual spacing: pictures that come faster are a backlog
_PROOF = 4  # spacings at rest that end it


class Freshness:
    """Judges each picture by when it arrived and, where the camera stamps them, by when it was taken.

    With stamps: the difference between arrival and stamp is steady; a picture whose difference is ``lag`` seconds more
    is old. Without: after a silence longer than ``lag``, pictures that come faster than usual are a backlog. Just
    after connecting nothing is known, so a picture is ``unsure``: it is live if no other follows at once (within
    :attr:`hold`), and old if one does; until four in a row came no faster than they are taken.

    Args:
        lag: Seconds a picture may be late and still be live.

    Example:
        >>> watch = Freshness(lag=1.0)
        >>> [watch.judge(clock=100 + t, media=t) for t in (0.0, 0.5, 1.0, 1.5, 2.0)]
        ['unsure', 'unsure', 'unsure', 'unsure', 'fresh']
        >>> [watch.judge(clock, media) for clock, media in ((109.0, 2.5), (109.01, 3.0), (109.5, 9.5))]
        ['stale', 'stale', 'fresh']
    """

    def __init__(self, lag: float) -> None:
        self._lag = lag
        self._spacings: deque[float] = deque(maxlen=_REMEMBERED)
        self._typical: float | None = None
        self.connected()

    def connected(self) -> None:
        """A new connection: the time stamps begin anew. The usual spacing is remembered."""
        self._last: tuple[float, float | None] | None = None
        self._delay = 0.0  # between stamp and arrival, of a live picture
        self._backlog: deque[float] | None  # spacings while there may be one
        self._doubt()

    @property
    def hold(self) -> float:
        """Seconds to wait whether another picture follows one that is ``unsure``."""
        return _HOLD if self._typical is None else min(_HOLD, 2 * self._typical)

    def judge(self, clock: float, media: float | None) -> Verdict:
        """The next picture.

        Args:
            clock: When it arrived, seconds.
            media: The camera's stamp, seconds, or None.
        """
        last, self._last = self._last, (clock, media)
        if last is None:
            self._delay = clock - (media or 0.0)
            return "unsure"
        spacing = clock - last[0]
        if media is None or last[1] is None:
            return self._by_arrival(spacing)
        return self._by_stamps(spacing, media - last[1], clock - media)

    def _by_stamps(self, spacing: float, step: float, delay: float) -> Verdict:
        if step <= 0 or delay < self._delay - self._lag / 4:  # its clock was set, or those before were old
            self._delay = delay
            self._doubt()
            return "unsure"
        self._learn(step)
        if self._in_backlog(spacing):
            self._delay = delay
            return "unsure"
        drift = _DRIFT * spacing
        self._delay += min(drift, max(-drift, delay - self._delay))
        return "stale" if delay > self._delay + self._lag else "fresh"

    def _by_arrival(self, spacing: float) -> Verdict:
        if self._in_backlog(spacing):
            return "unsure"
        silent = spacing > max(self._lag, 3 * (self._typical or 0.0))
        film = len(self._spacings) >= _PROOF and max(self._spacings) < self._lag / 2
        self._learn(spacing)
        if silent:
            self._doubt()
            return "stale" if film else "unsure"  # of a film, this picture may be from before the silence
        return "fresh"

    def _doubt(self) -> None:
        self._backlog = deque(maxlen=_PROOF)

    def _in_backlog(self, spacing: float) -> bool:
        """Whether the pictures that arrived last came faster than they are taken."""
        if self._backlog is not None:
            self._backlog.append(spacing)
            at_rest = mean(self._backlog) >= max(_SHORTEST, _AT_REST * (self._typical or 0.0))
            if at_rest and len(self._backlog) == _PROOF:
                self._backlog = None
        return self._backlog is not None

    def _learn(self, spacing: float) -> None:
        self._spacings.append(spacing)
        self._typical = median(self._spacings)
