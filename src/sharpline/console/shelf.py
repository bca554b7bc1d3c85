"""Finished parts of pictures, kept for the browsers that ask next: made once for all of them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from typing import Any, TypeVar

from sharpline.console.messages import Part

_PARTS = 48
_BYTES = 64 << 20  # a loupe of 2048 x 2048 pixels without loss may have 12 MB; a shelf full of them was too much
T = TypeVar("T", Part, list[Part])


class Shelf:
    """Parts by key; the oldest go first. Used in the server's event loop only.

    Args:
        pool: where parts are made.
    """

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._parts: OrderedDict[Hashable, asyncio.Future[Any]] = OrderedDict()

    async def made(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` gives, made once for all browsers that ask for the same key, in a thread."""
        future: asyncio.Future[T] | None = self._parts.get(key)
        if future is None:
            future = self._parts[key] = asyncio.get_running_loop().run_in_executor(self._pool, make)
        try:
            part = await asyncio.shield(future)
        except Exception:
            self._parts.pop(key, None)
            raise
        self._clear()
        return part

    def bytes(self) -> int:
        """Of the parts that are finished."""
        return sum(map(_size, self._parts.values()))

    def _clear(self) -> None:
        size = self.bytes()
        while len(self._parts) > 1 and (len(self._parts) > _PARTS or size > _BYTES):
            size -= _size(self._parts.popitem(last=False)[1])


def _size(future: asyncio.Future[Any]) -> int:
    if not future.done() or future.cancelled() or future.exception() is not None:
        return 0
    made = future.result()
    return sum(len(part.data) for part in (made if isinstance(made, list) else [made]))
