"""How the line stands, in numbers and words: for the page twice a second, and for ``/healthz``."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from sharpline.console.feed import Feed
from sharpline.line.frame import Result

_WINDOW = 4.0  # seconds over which frames a second are counted
_MANY = 64  # with more sources than this (a folder of stills) the page is told only about those it shows


class Rates:
    """Counts a second, from counters that only grow."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, float]]] = {}

    def rate(self, name: str, count: float, now: float) -> float | None:
        """Takes a counter's value; gives its growth a second over the last seconds, None at first.

        Example:
            >>> rates = Rates()
            >>> [rates.rate("frames", count, now) for count, now in ((0, 0.0), (12, 0.5), (25, 1.0))]
            [None, 24.0, 25.0]
        """
        seen = self._seen.setdefault(name, deque())
        if seen and count < seen[-1][1]:  # counted anew
            seen.clear()
        seen.append((now, count))
        while len(seen) > 2 and now - seen[1][0] >= _WINDOW:
            seen.popleft()
        if len(seen) < 2 or now == seen[0][0]:
            return None
        return round((count - seen[0][1]) / (now - seen[0][0]), 2)


def status(feed: Feed, rates: Rates) -> dict[str, Any]:
    """Everything that the page shows beside the pictures. Ages are the server's: the page trusts no clock of its own.

    Args:
        feed: What is shown.
        rates: Kept from call to call.
    """
    now = time.monotonic()
    live = feed.stale_after is not None or len(feed.names) <= _MANY
    return {
        "type": "status",
        "sources": {name: _source(feed, name, rates, now) for name in feed.names} if live else {},
        "alarms": [
            {
                "number": alarm.number,
                "source": alarm.source,
                "text": alarm.text,
                "age": round(now - alarm.raised, 1),
                "active": alarm.active,
                "acknowledged": alarm.acknowledged,
            }
            for alarm in feed.alarms()
        ],
        "limits": list(feed.health()),
    }


def source_status(feed: Feed, name: str) -> dict[str, Any]:
    """State and trouble of one source.

    Args:
        feed: What is shown.
        name: One of its sources.
    """
    return {"state": feed.state(name), "trouble": feed.trouble(name)}


def _source(feed: Feed, name: str, rates: Rates, now: float) -> dict[str, Any]:
    result, counters = feed.latest(name), feed.counters(name)
    frames = counters.get("frames", 0)
    return source_status(feed, name) | {
        "age": None if result is None else age(result, now),
        "captured_rate": rates.rate(f"{name}/frames", frames, now),
        "rate": rates.rate(f"{name}/results", counters.get("results", frames), now),
        "frames": frames,
        "reconnects": counters.get("reconnects", 0),
        "dropped": {
            key.removeprefix("dropped_"): value
            for key, value in counters.items()
            if key.startswith("dropped_") and value
        },
    }


def age(result: Result, now: float) -> float:
    """Seconds since a result's frame was captured.

    Args:
        result: An enlarged frame.
        now: :func:`time.monotonic`.
    """
    return round(max(0.0, now - result.frame.clock), 3)


def health(feed: Feed) -> tuple[bool, list[str]]:
    """Whether pictures come from all sources, and everything that is not as it should be.

    Args:
        feed: What is shown.

    Returns:
        False where a source is away or its picture too old; and the reasons, none when all is well.
    """
    if feed.stale_after is None:
        return True, list(feed.health())
    now, away = time.monotonic(), []
    for name in feed.names:
        state, result = feed.state(name), feed.latest(name)
        if state != "running":
            trouble = feed.trouble(name)
            away.append(f"{name} is {state}" + (f": {trouble}" if trouble else ""))
        elif result is None:
            away.append(f"{name} has not given a picture yet")
        elif now - result.frame.clock > feed.stale_after:
            away.append(f"{name}: the last picture is {now - result.frame.clock:.0f} s old")
    return not away, away + list(feed.health())
