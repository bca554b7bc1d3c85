"""Signals, turned into a question that the loop asks between steps."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator


@contextmanager
def stop_requested(accelerator: Accelerator) -> Iterator[Callable[[], bool]]:
    """Ask whether SIGTERM or SIGINT came to any of the processes, since all have to stop at the same step.

    One of several processes also stops when what started it is gone: nobody else would ever stop it.
    Outside the main thread nothing can be caught, and the answer is always no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked: list[int] = []
    launcher = os.getppid()

    def stopping() -> bool:
        if accelerator.num_processes == 1:
            return bool(asked)
        alone = os.getppid() != launcher
        flag = torch.tensor(float(bool(asked) or alone), device=accelerator.device)
        return float(accelerator.reduce(flag, "sum")) > 0

    old = {s: signal.signal(s, lambda number, frame: asked.append(number)) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
