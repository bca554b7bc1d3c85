"""What Ctrl-C does while packages are loaded, which takes seconds: it ends the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Ctrl-C ends the process at once, quietly, with 130: there is nothing to lose yet.

    As an exception it would come out of the middle of other people's packages: some swallow it, some print it, and
    Python itself forgets the exit code where it came through the evaluation of a string.
    """
    old = signal.getsignal(signal.SIGINT)
    if old is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield  # ignored, or somebody else's
        return
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
