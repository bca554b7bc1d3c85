"""What the browsers share: the feed, the work done for them, and the limits that hold for all of them together."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from sharpline import __version__
from sharpline.console.feed import Feed
from sharpline.console.shelf import Shelf
from sharpline.console.status import Rates, status
from sharpline.line.frame import Result

BROWSERS = 50
FROZEN = 8  # pictures that browsers may hold: each is a whole frame and its enlargement in memory
_WORKERS = 2
_REMEMBERED = 96 << 20  # bytes of pictures that a browser may still ask to freeze
_STATUS_AGE = 0.4  # seconds for which browsers share one status


class Holder(Protocol):
    """Somebody who holds a picture back from being forgotten."""

    held: Result | None


class Hub:
    """Shared by all browsers of one server; used in the server's event loop only."""

    def __init__(self, feed: Feed, quality: int) -> None:
        self.feed = feed
        self.quality = quality
        self.browsers: dict[str, Holder] = {}
        self.rendering = asyncio.Semaphore(_WORKERS)  # taken before the newest picture is chosen: none waits and ages
        self._pool = ThreadPoolExecutor(_WORKERS, "console")
        self.shelf = Shelf(self._pool)
        self._remembered: deque[Result] = deque()
        self._rates = Rates()
        self._status: dict[str, object] = {}
        self._status_made = float("-inf")

    def enter(self, browser: Holder) -> str | None:
        """A place for a browser; None when all are taken."""
        if len(self.browsers) >= BROWSERS:
            return None
        name = secrets.token_urlsafe(16)
        self.browsers[name] = browser
        return name

    def leave(self, name: str) -> None:
        """The browser is gone."""
        self.browsers.pop(name, None)

    def may_hold(self, browser: Holder) -> bool:
        """Whether one more picture may be frozen."""
        return sum(other.held is not None for other in self.browsers.values() if other is not browser) < FROZEN

    def remember(self, result: Result) -> None:
        """Keeps the pictures shown last alive for a moment, so that browsers need not (they hold weak references)."""
        if any(result is known for known in self._remembered):
            return
        self._remembered.append(result)
        size = sum(r.sr.nbytes + r.frame.image.nbytes for r in self._remembered)
        while len(self._remembered) > 2 and size > _REMEMBERED:
            oldest = self._remembered.popleft()
            size -= oldest.sr.nbytes + oldest.frame.image.nbytes

    def hello(self, name: str) -> str:
        """The first message to a browser."""
        return json.dumps(
            {
                "type": "hello",
                "socket": name,
                "version": __version__,
                "names": list(self.feed.names),
                "stale_after": self.feed.stale_after,
            }
        )

    def status(self) -> dict[str, object]:
        """How everything stands, at most a moment old."""
        now = time.monotonic()
        if now - self._status_made > _STATUS_AGE:
            self._status, self._status_made = status(self.feed, self._rates), now
        return self._status

    def close(self) -> None:
        """Lets the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)
