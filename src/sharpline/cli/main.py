"""The ``sharpline`` command. What it needs is loaded inside, where Ctrl-C is answered already."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def main() -> None:
    """Run the command line. Exit code 0: done; 1: something failed; 2: usage; 130: stopped by Ctrl-C."""
    with _nothing_to_lose():
        from sharpline.cli.ending import run
        from sharpline.cli.verbs import app
    sys.exit(run(app))


@contextmanager
def _nothing_to_lose() -> Iterator[None]:
    """Ctrl-C ends the process at once, and quietly: half-loaded packages would answer it with tracebacks."""
    old = signal.getsignal(signal.SIGINT)
    if old is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield  # ignored, or somebody else's
        return
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))  # as shells do
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
