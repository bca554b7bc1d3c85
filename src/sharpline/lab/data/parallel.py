"""Work on many pictures at once, results in order and few of them waiting in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``map`` in threads: decoding, resizing and convolving let go of the interpreter's lock.

    At most two results a thread are held for a caller that is slower than the threads.

    Example:
        >>> list(in_order(abs, [-1, -2]))
        [1, 2]
    """
    workers = min(os.cpu_count() or 1, 8)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # stopped or failed: what has not begun is dropped
            pool.shutdown(cancel_futures=True)
