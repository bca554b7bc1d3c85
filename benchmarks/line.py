"""Times a line from the camera to the screen; or lets it run under faults for as long as one likes.

    python benchmarks/line.py               latencies and rates; writes benchmarks/results/line.csv
    python benchmarks/line.py --soak 600    ten minutes under faults; writes benchmarks/results/line-soak.csv

Columns and their meaning: docs/line.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from sharpline.line import memory

memory.settle()  # as ``sharpline line run`` does, before the rest begins threads

import numpy as np
from rich.console import Console

from browsing import browser
from common import RESULTS, commit, cores, machine, write_csv
from sharpline.console.server import Server
from sharpline.errors import SharplineError
from sharpline.line.config import LineConfig, ViewConfig, parse_line
from sharpline.line.conveyor import conveyor
from sharpline.line.frame import Result
from sharpline.line.running import Line
from soak import soak

MODELS = ["edge-s-x4", "edge-m-x4"]
COLUMNS = (
    *(
        "machine",
        "commit",
        "protocol",
        "threads",
        "model",
        "computed",
        "input",
        "camera_fps",
        "seconds",
        "fps",
        "screen_fps",
        "dropped_share",
    ),
    *("enlarge_ms_p50", "finished_ms_p50", "finished_ms_p95", "screen_ms_p50", "screen_ms_p95", "peak_memory_mb"),
)
PROTOCOL = "conveyor, no ladder, one browser in a process of its own that decodes and acknowledges; monotonic clock"
screen = Console(stderr=True, highlight=False)


class Timed(Line):
    """A line that keeps the moments that its page says a picture was drawn."""

    def __init__(self, config: LineConfig, **parts: object) -> None:
        super().__init__(config, **parts)  # type: ignore[arg-type]
        self.drawn: list[float] = []

    def shown(self, source: str, seconds: float) -> None:
        """See Line."""
        self.drawn.append(seconds)
        super().shown(source, seconds)


class Stopwatch:
    """A sink that notes how old each result was when it was done."""

    name, trouble = "stopwatch", ""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.seconds: list[float] = []

    def start(self) -> None:
        """Nothing to open."""

    def accept(self, result: Result) -> None:
        """Notes its age."""
        self.latencies.append(result.finished - result.frame.clock)
        self.seconds.append(result.seconds)

    def stop(self, timeout: float = 5.0) -> None:
        """Nothing to close."""

    def counters(self) -> Mapping[str, float]:
        """How many it saw."""
        return {"sent": len(self.latencies)}


def _milliseconds(values: Sequence[float], percent: float) -> str:
    return f"{1e3 * float(np.percentile(values, percent)):.0f}" if values else ""


def measure(model: str, size: tuple[int, int], fps: float, seconds: float, threads: int) -> dict[str, object]:
    """Runs one model on a conveyor, with one browser that looks on.

    Args:
        model: Its name.
        size: Width and height of the camera's picture.
        fps: Of the camera.
        seconds: How long, from the third picture on the screen.
        threads: Of the model.

    Returns:
        The result file's line.
    """
    flow = {"ladder": [], "threads": threads, "deadline": "60s"}
    config = parse_line({"model": model, "flow": flow, "guard": {"age": "60s"}})
    watch = Stopwatch()
    line = Timed(config, sources=[conveyor("belt", *size, fps=fps)], sinks=[watch])
    with Server(line, ViewConfig(port=0)) as server, line:
        looking = browser(server.url, "belt", 4 * size[0])
        try:
            end = time.monotonic() + 60
            while len(line.drawn) < 3 and time.monotonic() < end:
                time.sleep(0.1)
            if len(line.drawn) < 3:
                raise TimeoutError("the browser has drawn nothing for a minute")
            before, drawn = line.counters("belt"), len(line.drawn)
            done = len(watch.latencies)
            time.sleep(seconds)
            after = line.counters("belt")
            latencies, took, shown = watch.latencies[done:], watch.seconds[done:], line.drawn[drawn:]
        finally:
            looking.kill()
            looking.wait()
    captured = after["frames"] - before["frames"]
    peak = next(int(row.split()[1]) for row in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in row)
    return {
        **{"machine": machine(), "commit": commit(), "protocol": PROTOCOL, "threads": threads, "model": model},
        "computed": line._enlarging._rungs[0].computed,
        **{"input": f"{size[0]}x{size[1]}", "camera_fps": f"{fps:g}", "seconds": f"{seconds:g}"},
        "fps": f"{len(latencies) / seconds:.1f}",
        "screen_fps": f"{len(shown) / seconds:.1f}",
        "dropped_share": f"{1 - len(latencies) / max(1, captured):.2f}",
        "enlarge_ms_p50": _milliseconds(took, 50),
        "finished_ms_p50": _milliseconds(latencies, 50),
        "finished_ms_p95": _milliseconds(latencies, 95),
        "screen_ms_p50": _milliseconds(shown, 50),
        "screen_ms_p95": _milliseconds(shown, 95),
        "peak_memory_mb": f"{peak * 1024 / 1e6:.0f}",
    }


def _soak(options: argparse.Namespace) -> int:
    warm_up = min(60.0, options.soak / 4)
    logging.disable(logging.CRITICAL)  # the faults are ours
    found = soak(options.soak, warm_up=warm_up, threads=options.threads, report=screen.print)
    row = {"machine": machine(), "commit": commit(), **asdict(found), "verdict": found.verdict()}
    write_csv(options.output / "line-soak.csv", list(row), [row])
    for key, value in row.items():
        screen.print(f"{key:<17} {value}", markup=False)
    return 0 if found.verdict() == "passed" else 1


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="that count for each model (20)")
    parser.add_argument("--threads", type=int, default=cores(), help="of the model (all cores)")
    parser.add_argument("--fps", type=float, default=25, help="of the camera (25)")
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), help="of the camera's picture (640 480)")
    parser.add_argument("--model", nargs="+", default=MODELS, help="names (edge-s-x4 edge-m-x4)")
    parser.add_argument("--soak", type=float, help="seconds under faults in place of the timing")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="folder (benchmarks/results)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. Exit code 0: done; 1: something failed, or a soak was not good."""
    options = _parsed(arguments)
    if os.getloadavg()[0] > 0.5:
        screen.print(f"the machine is busy (load {os.getloadavg()[0]:.1f}): do not trust these times")
    try:
        if options.soak:
            return _soak(options)
        rows = [
            measure(model, tuple(options.size), options.fps, options.seconds, options.threads)
            for model in options.model
        ]
        write_csv(options.output / "line.csv", COLUMNS, rows)
    except (SharplineError, OSError) as error:
        print("error:", error, file=sys.stderr)
        return 1
    for row in rows:
        screen.print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
