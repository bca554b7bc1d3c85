"""How long tests wait: as long as it takes on a machine that has other things to do, not at all on one that has not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

PATIENCE = 60.0  # seconds for what takes one on a quiet machine


def busy() -> float:
    """How many times as long as on a quiet machine things may take here and now: 1 on a quiet one."""
    return max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def eventually(condition: Callable[[], object], timeout: float = PATIENCE) -> bool:
    """Whether it becomes true in time. Without a timeout: at all, however busy the machine is."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
