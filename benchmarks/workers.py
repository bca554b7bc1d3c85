"""Rows of a benchmark, each in a process of its own, called in turn.

A process a row, as a user has it: thread pools, allocators and peak memory are not shared. The parent asks for one
call at a time, so all rows see the same minutes of the machine. Run as a script, this file is such a process.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

_PAUSE = 0.02  # seconds before a call: idle threads of the row before spin for some milliseconds
_WARM_UP = 2  # calls that are not counted: engines tune themselves, allocators fill
_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Candidate:
    """What a row runs.

    Args:
        engine: What computes, with its version.
        call: The function that is timed.
    """

    engine: str
    call: Callable[[Any], Any]


class WorkerError(Exception):
    """A row's process failed; the message is the last line that it wrote."""


class Worker:
    """The parent's handle of one row.

    Args:
        make: ``module:function`` that gives the ``Candidate``; modules beside this file can be named.
        arguments: Its keyword arguments, plain values.
        image: The ``.npy`` file with the argument of each call.
        threads: Threads of the OpenMP and BLAS pools; engines with pools of their own take it as an argument.

    Raises:
        WorkerError: The row cannot be made.
    """

    def __init__(self, make: str, arguments: Mapping[str, Any], *, image: Path, threads: int) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115, closed in close()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=os.environ | dict.fromkeys(_POOLS, str(threads)),
        )
        try:
            self.engine: str = self._ask(make=make, arguments=dict(arguments), image=str(image))
            for _ in range(_WARM_UP):
                self.time()
        except BaseException:
            self.close()
            raise

    def _ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            reply = self._process.stdout.readline()
        except BrokenPipeError:
            reply = ""
        if not reply:
            self._process.wait()
            self._log.seek(0)
            raise WorkerError((self._log.read().strip() or "it ended without a word").splitlines()[-1])
        return json.loads(reply)

    def time(self) -> float:
        """Milliseconds of one call."""
        return float(self._ask(do="time"))

    def save(self, path: Path) -> None:
        """Calls once more and saves the result as ``.npy``."""
        self._ask(do="save", path=str(path))

    def apply(self, function: str, **arguments: Any) -> Any:
        """Gives the row's callable to ``module:function`` and returns its answer, a plain value."""
        return self._ask(do="apply", function=function, arguments=arguments)

    def peak_memory(self) -> float:
        """The most memory that the process ever held, in MB (10^6 bytes): resident, code and libraries included.

        Not ``ru_maxrss``, which counts the parent's memory at the time of the fork.
        """
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise WorkerError("the system does not tell the peak memory of a process; run the benchmark on Linux")

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()


class Timed(Protocol):
    """Anything that can be timed: a worker."""

    def time(self) -> float:
        """Milliseconds of one call."""


def interleave(
    workers: Sequence[Timed], repeats: int, *, pause: float = _PAUSE, progress: Callable[[], None] | None = None
) -> list[list[float]]:
    """Times all rows in rounds: one call of each a round, in a new order each time.

    What disturbs the machine for a while so disturbs all rows alike, and none always follows the same other.

    Args:
        workers: The rows.
        repeats: Number of rounds.
        pause: Seconds to wait before each call.
        progress: Called after each call.

    Returns:
        For each row its milliseconds, one a round.
    """
    times: list[list[float]] = [[] for _ in workers]
    order = list(range(len(workers)))
    shuffle = random.Random(0).shuffle
    for _ in range(repeats):
        shuffle(order)
        for index in order:
            time.sleep(pause)
            times[index].append(workers[index].time())
            if progress is not None:
                progress()
    return times


def _find(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def _requests() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def _serve() -> None:
    """The child: makes the row, then answers requests until the parent goes away."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a library that prints does not speak to the parent
    requests = _requests()
    first = next(requests)
    image = np.load(first["image"])
    candidate: Candidate = _find(first["make"])(**first["arguments"])
    print(json.dumps(candidate.engine), file=replies)
    for request in requests:
        answer: Any = None
        if request["do"] == "time":
            begin = time.perf_counter()
            candidate.call(image)
            answer = (time.perf_counter() - begin) * 1e3
        elif request["do"] == "save":
            np.save(request["path"], candidate.call(image))
        else:
            answer = _find(request["function"])(candidate.call, **request["arguments"])
        print(json.dumps(answer), file=replies)


if __name__ == "__main__":
    _serve()
