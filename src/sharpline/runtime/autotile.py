"""Chooses the tile: from the memory that is free, and from the time that tiles really take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

_WORKING_MEMORY = 512 * 2**20  # bytes that one run may take where memory is plenty
_CANDIDATES = (128, 192, 256, 384, 512, 768, 1024)  # what a tile reads, halo included, along each side
_PROBES = (128, 256, 384)  # the ones that are timed: within and beyond usual L2 and L3 caches
_PROBE_SECONDS = 0.3
SMALLEST_TILE = 16


def _number_in(path: Path) -> float:
    """The number that a control file holds; infinite where there is none."""
    try:
        return float(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return math.inf


def _container_memory(root: Path) -> float:
    """Bytes left under the container's limit (cgroup version 2, then 1)."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        if math.isfinite(_number_in(root / limit)):
            return max(0.0, _number_in(root / limit) - min(_number_in(root / used), _number_in(root / limit)))
    return math.inf


def available_memory(*, proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that this process can still take; infinite where the system does not say.

    Args:
        proc: Where ``meminfo`` is.
        cgroup: Root of the control groups.
    """
    free = math.inf
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = float(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return min(free, _container_memory(cgroup))


def largest_area(bytes_per_pixel: int, memory: float) -> int:
    """LR pixels that one run may read: half of the free memory, 512 MiB at most.

    Example:
        >>> largest_area(1000, 1e9)
        500000
    """
    return max(SMALLEST_TILE**2, int(min(memory / 2, _WORKING_MEMORY) / bytes_per_pixel))


def _measured_rates(seconds: Callable[[int], float], sides: list[int]) -> dict[int, float]:
    """Seconds a pixel for some of the sides, as many as fit into the time for probing."""
    rates: dict[int, float] = {}
    spent = 0.0
    for side in sides:
        expected = 2 * side**2 * (min(rates.values()) if rates else 0.0)
        if spent + expected > _PROBE_SECONDS:
            break
        begin = time.perf_counter()
        seconds(side)  # the first run of a size also allocates its buffers
        rates[side] = seconds(side) / side**2
        spent += time.perf_counter() - begin
    return rates


def fastest_tile(seconds: Callable[[int], float], halo: int, area: int) -> int:
    """Chooses the side of a tile, without halo, that takes the least time for each pixel it contributes.

    Large tiles waste less on their halo, small ones stay in the cache. A side that was not timed is taken to cost
    as much a pixel as the next smaller one that was.

    Args:
        seconds: Runs a square tile of so many LR pixels a side and returns how long it took.
        halo: Radius of the receptive field.
        area: LR pixels that a tile may read.

    Returns:
        The side in LR pixels.

    Example:
        >>> fastest_tile(lambda side: 1e-9 * side**2, halo=12, area=300_000)
        488
    """
    limit = math.isqrt(area)
    sides = [side for side in _CANDIDATES if 2 * halo + SMALLEST_TILE <= side <= limit]
    rates = _measured_rates(seconds, [side for side in _PROBES if side in sides])
    if not rates:
        return max(SMALLEST_TILE, min(limit, 512) - 2 * halo)
    first = min(rates)

    def cost(side: int) -> float:
        rate = rates[max(probe for probe in rates if probe <= max(side, first))]
        return rate * (side / (side - 2 * halo)) ** 2

    return min(sides, key=cost) - 2 * halo
