"""Which schedule is fastest on this machine, by running them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from sharpline.compiler.build import compile_model
from sharpline.compiler.schedule import Schedule, usual
from sharpline.compiler.targets import target_of
from sharpline.runtime.compiled import Compiled
from sharpline.runtime.integer import IntegerModel, network_digest

_SIZE = 270, 480
_ROUNDS = 7
_TILES = {  # pixels and vectors of outputs that are worth a try
    "x86-64-avx2": ((6, 2), (5, 2), (4, 2), (3, 3), (3, 2)),
    "x86-64-avxvnni": ((6, 2), (5, 2), (4, 3), (3, 3)),
    "x86-64-avx512vnni": ((8, 3), (6, 4), (6, 3), (8, 2)),
    "arm64-neon": ((4, 2), (3, 3), (6, 1), (3, 2)),
    "arm64-dotprod": ((6, 4), (8, 3), (6, 3), (8, 2)),
}
_ROWS = (1, 4, 16, 64, 2**20)

Run = Callable[[], None]


def tune(model: IntegerModel, target: str, *, size: tuple[int, int] = _SIZE) -> Schedule:
    """Measure a handful of schedules: tiles first, then rows a block.

    The candidates take turns, so that what else the machine does meets all of them; the processor time of one thread
    counts, by its median. A candidate has to be 1 % faster than the usual one to be taken.

    Args:
        model: the network.
        target: one that this machine can run.
        size: height and width of the picture.

    Returns:
        The fastest.

    Raises:
        UsageError: no such target, or no compiler.
    """
    start = usual(target_of(target))
    tiles = [
        start,
        *(replace(start, pixels=p, vectors=v) for p, v in _TILES[target] if (p, v) != target_of(target).tile),
    ]
    best = _fastest(model, target, tiles, size)
    return _fastest(model, target, [best, *(replace(best, rows=rows) for rows in _ROWS if rows != best.rows)], size)


def _fastest(model: IntegerModel, target: str, schedules: Sequence[Schedule], size: tuple[int, int]) -> Schedule:
    lr = np.random.default_rng(0).integers(0, 256, (*size, model.colours), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for number, schedule in enumerate(schedules):
            path = Path(folder) / f"{number}.so"
            compile_model(model, target, path, name="tuning", digest=network_digest(model), schedule=schedule)
            runs.append(_run_of(Compiled(path, target, network_digest(model)), lr))
        spent: list[list[float]] = [[] for _ in runs]
        for _ in range(_ROUNDS):
            for times, run in zip(spent, runs, strict=True):
                begin = time.process_time()
                run()
                times.append(time.process_time() - begin)
    medians = [median(times[1:]) for times in spent]
    best = min(range(len(medians)), key=medians.__getitem__)
    return schedules[best if medians[best] < 0.99 * medians[0] else 0]


def _run_of(library: Compiled, lr: NDArray[np.uint8]) -> Run:
    height, width, colours = lr.shape
    sr = np.empty((height * library.scale, width * library.scale, colours), np.uint8)
    scratch = np.empty(library.scratch(height, width, 1), np.uint8)
    return lambda: library.run(lr, sr, 1, scratch)
