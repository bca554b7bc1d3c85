"""Samples of fewer bits than a byte, or than two."""

from __future__ import annotations

import numpy as np

from sharpline.pixels.picture import Array


def unpack_bits(rows: Array, bits: int, count: int) -> Array:
    """Samples packed most significant bit first, each row from a byte of its own.

    Args:
        rows: Array n x bytes, uint8.
        bits: Bits a sample, 1 to 16.
        count: Samples a row.

    Returns:
        Array n x count, uint8 for up to 8 bits, else uint16; values 0 to 2^bits - 1.

    Example:
        >>> unpack_bits(np.array([[0x12, 0x30]], np.uint8), 4, 3).tolist()
        [[1, 2, 3]]
    """
    single = np.unpackbits(rows, axis=1, count=count * bits).reshape(len(rows), count, bits)
    out = np.zeros((len(rows), count), np.uint8 if bits <= 8 else np.uint16)
    for bit in range(bits):
        out <<= 1
        out |= single[:, :, bit]
    return out
