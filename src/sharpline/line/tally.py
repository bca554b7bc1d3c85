"""Counts what became of each camera's frames."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from sharpline.line.frame import Result


class Tally:
    """Sums over all results of each camera. May be used from many threads.

    Args:
        names: The cameras.

    Example:
        >>> Tally(["cam1"]).of("cam1")
        {'results': 0, 'fallbacks': 0, 'reused_tiles': 0}
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._sums: dict[str, dict[str, float]] = {
            name: {"results": 0, "fallbacks": 0, "reused_tiles": 0} for name in names
        }
        self._lock = threading.Lock()

    def add(self, result: Result) -> None:
        """Counts a result."""
        method = f"results_by_{result.method}"
        with self._lock:
            sums = self._sums[result.frame.source]
            sums["results"] += 1
            sums["fallbacks"] += result.fallback
            sums["reused_tiles"] += result.reused
            sums[method] = sums.get(method, 0) + 1

    def of(self, name: str) -> Mapping[str, float]:
        """``results``, ``fallbacks``, ``reused_tiles`` (sum of the shares) and ``results_by_<method>``."""
        with self._lock:
            return dict(self._sums[name])
