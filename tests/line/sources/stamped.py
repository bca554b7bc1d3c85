"""Pictures that say when they were taken: milliseconds of the monotonic clock as black and white blocks.

Standard library only: the RTSP server of the tests runs in the system's Python.
"""

from __future__ import annotations

import time

WIDTH, HEIGHT = 320, 192
_COLUMNS, _ROWS, _BLOCK = 8, 5, 32  # 40 bits; the row below them stays grey
MODULUS = 1 << (_COLUMNS * _ROWS)


def milliseconds() -> int:
    return int(time.monotonic() * 1000)


def draw(stamp: int) -> bytes:
    """A grey picture, WIDTH x HEIGHT bytes."""
    rows = []
    for row in range(_ROWS):
        bits = [stamp >> (row * _COLUMNS + column) & 1 for column in range(_COLUMNS)]
        line = b"".join((b"\xe0" if bit else b"\x20") * _BLOCK for bit in bits)
        rows.append((line + b"\x80" * (WIDTH - len(line))) * _BLOCK)
    rows.append(b"\x80" * (WIDTH * (HEIGHT - _ROWS * _BLOCK)))
    return b"".join(rows)


def read(image) -> int:
    """The stamp in a picture, H x W x C of 8 bits."""
    stamp = 0
    for row in range(_ROWS):
        for column in range(_COLUMNS):
            middle = image[row * _BLOCK + _BLOCK // 2, column * _BLOCK + _BLOCK // 2]
            stamp |= int(middle.mean() > 128) << (row * _COLUMNS + column)
    return stamp
