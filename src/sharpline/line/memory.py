"""Keeps the memory of a line that runs for months where it is. Nothing leaks: it is glibc's allocator that spreads.

A line allocates and frees pictures of 0.2 to 15 MB in two dozen threads. glibc makes eight arenas a core for them,
none of which can use the free room of another, and in each of which pictures lie between things that stay. Measured
under the faults of ``benchmarks/soak.py`` (two cameras of 320 x 240 x4, two busy cores, glibc 2.36, ``malloc_info``):
what was in use stayed at 195 MB, and so did objects, threads and descriptors, while the free room between grew from 51
MB after 20 seconds to 170 MB after three minutes: 361 to 470 MB resident, and on. With one arena it was 388 MB after
100 seconds and after 150; with that and what is free given back every ten seconds, 350. Ten minutes of the soak with
both, on a quiet machine: 377 MB in the second minute, 382 in the last; with neither, 462 and 546. Resident memory
swings by 30 MB between two calls, so that single readings say little. Arenas that imports have made before remain:
settled only then, it was 372 and 405.

Pictures that are mapped one by one (``M_MMAP_THRESHOLD`` at 1 MB) come to 310 MB, but 2,200 page faults take 7 of the
37 ms of each frame. Giving back takes 10 ms of a core each time. That all threads share an arena costs nothing that
could be seen: Python has an allocator of its own for what is small, and of the rest there are some hundreds a second.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

EVERY = 10.0  # seconds between two calls of ``give_back``
_M_ARENA_MAX = -8  # of glibc's malloc.h


@cache
def _glibc() -> Any:
    """The C library where it is glibc, else None."""
    try:
        library = ctypes.CDLL(None)
        if not hasattr(library, "gnu_get_libc_version"):
            return None
        library.malloc_trim.argtypes = [ctypes.c_size_t]
    except (OSError, AttributeError, TypeError):  # TypeError: on Windows a library has a name
        return None
    return library


def settle() -> bool:
    """Has the threads of this process share the arenas that there are; to be called before there are many of them.

    Returns:
        Whether that was possible: it is, on Linux with glibc.

    Example:
        >>> settle() == (_glibc() is not None)
        True
    """
    return _glibc() is not None and bool(_glibc().mallopt(_M_ARENA_MAX, 1))


def give_back() -> None:
    """Gives the system what is free, wherever it lies. Takes some milliseconds, and others wait meanwhile.

    Example:
        >>> give_back()
    """
    if _glibc() is not None:
        _glibc().malloc_trim(0)
