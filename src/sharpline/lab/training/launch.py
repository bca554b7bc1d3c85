"""Several processes on this machine that train one network, and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile
from typing import IO

import torch
from accelerate import Accelerator
from torch.distributed import DistError, TCPStore  # type: ignore[attr-defined]

from sharpline.errors import SharplineError, UsageError

_LOST = "another process of this training has ended or cannot be reached"
_STOPPED = 130
_GRACE = 20.0  # seconds for the others to end by themselves, and again after SIGTERM


def is_chief() -> bool:
    """Whether this process is the one that prints and writes."""
    return int(os.environ.get("RANK", "0")) == 0


def launched() -> bool:
    """Whether this process is one of several, whoever started them."""
    return "RANK" in os.environ


def under_torchrun() -> bool:
    """Whether torchrun or accelerate launch watches this process, which take every code but 0 for a crash."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def meet(*, cpu: bool) -> Accelerator:
    """Find the other processes, if there are any.

    Args:
        cpu: do not take a GPU. Where there is none, several processes are told so: they would not look for each other.

    Raises:
        SharplineError: each would train a network of its own.
    """
    several = int(os.environ.get("WORLD_SIZE", "1"))
    accelerator = Accelerator(cpu=cpu or (several > 1 and not torch.cuda.is_available()))
    if accelerator.num_processes != several:
        raise SharplineError(f"{several} processes were started, {accelerator.num_processes} found each other")
    return accelerator


@contextmanager
def together() -> Iterator[None]:
    """Says in one line what the libraries between the processes throw when one of those is gone.

    Raises:
        SharplineError: another process has ended or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        if launched() and (isinstance(error, DistError) or "gloo" in str(error)):
            words = str(error).splitlines()[0][:120]
            raise SharplineError(f"{_LOST} ({words}); --resume goes on from what was saved") from None
        raise


def run_in_processes(count: int, arguments: Sequence[str]) -> int:
    """Run ``sharpline`` with the same arguments in several processes that train one network.

    Each takes one GPU, or an equal share of the cores where there is no GPU. The first one prints. Ctrl-C, SIGTERM and
    SIGHUP reach all of them, and where one fails the others end too.

    Args:
        count: number of processes.
        arguments: of the command line.

    Returns:
        The exit code: that of the first process, 1 where a signal ended it.

    Raises:
        UsageError: more processes than GPUs, or than cores.
    """
    gpus, cores = torch.cuda.device_count(), os.cpu_count() or 1
    have = gpus or cores
    if not 1 <= count <= have:
        raise UsageError(f"--devices {count}: there are {have} {'GPUs' if gpus else 'cores'} here")
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # where they meet, at a free port
    shared = {
        "OMP_NUM_THREADS": str(max(1, cores // count)),
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # it is there already: nobody has to open it
    }
    command = [sys.executable, "-m", "sharpline", *arguments]
    with ExitStack() as held:
        asked = held.enter_context(_signals())
        words = [held.enter_context(TemporaryFile("w+", errors="replace")) for _ in range(1, count)]
        workers = []
        for rank, said in enumerate([None, *words]):
            own = {**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            # In sessions of their own: from a terminal Ctrl-C would reach them, and once more through us.
            workers.append(subprocess.Popen(command, env=own, stderr=said, start_new_session=True))
        _see_through(workers, asked)
        chief, *others = (worker.returncode for worker in workers)
        if chief not in (0, 2, _STOPPED):  # 2 is a matter of usage, the same for all
            _tell(others, words)
    return chief if chief >= 0 else 1


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Signals that ask to stop, as they come in; those that are ignored stay so."""
    asked: list[int] = []
    ends = [s for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is not signal.SIG_IGN]
    old = {s: signal.signal(s, lambda number, frame: asked.append(number)) for s in ends}
    try:
        yield asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _see_through(workers: Sequence[subprocess.Popen[bytes]], asked: list[int]) -> None:
    """Wait for all to end, pass on what is asked for, and end those that a failed one has left alone."""
    alone_since, patience = 0.0, [signal.SIGTERM, signal.SIGKILL]
    while any(worker.poll() is None for worker in workers):
        time.sleep(0.05)
        while asked:
            _send(workers, signal.SIGINT if asked.pop(0) == signal.SIGINT else signal.SIGTERM)
        failed = any(worker.poll() not in (None, 0, _STOPPED) for worker in workers)
        if not (failed or workers[0].poll() is not None):
            continue
        alone_since = alone_since or time.monotonic()
        if patience and time.monotonic() - alone_since > _GRACE:
            _send(workers, patience.pop(0))
            alone_since = time.monotonic()


def _send(workers: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for worker in workers:
        worker.send_signal(number)  # to one that has ended it sends nothing


def _tell(codes: Sequence[int], words: Sequence[IO[str]]) -> None:
    """The last line of those that failed by themselves; the first process has printed its own."""
    for place, (code, file) in enumerate(zip(codes, words, strict=True), 2):
        file.seek(0)
        last = (file.read().split("\n")[-2:] or [""])[0].removeprefix("error: ")
        if code < 0:
            last = f"ended by {signal.Signals(-code).name}"
        if code and _LOST not in last:
            print(f"error: process {place} of {len(codes) + 1}: {last}", file=sys.stderr)
