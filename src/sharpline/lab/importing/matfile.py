"""A strict reader of MATLAB's file format, level 5, for numbers, cells and structs.

SciPy's reader crashes the process on some damaged files (seen with 1.17), and a file from elsewhere must not do that.
Source: MathWorks, "MAT-File Format" (R2024b), chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CELL, _STRUCT, _DOUBLE, _SINGLE, _LAST_NUMBER = 1, 2, 6, 7, 15
_COMPLEX = 0x800
_DEEPEST = 8  # cells in cells
_LARGEST = 1 << 30  # bytes of a variable; a few compressed ones can claim more than any memory


def read_variables(content: bytes) -> dict[str, Any]:
    """Decode the variables of a ``.mat`` file.

    Args:
        content: the file's bytes.

    Returns:
        By name: an array for numbers, a list for a cell, a list of dictionaries for a struct, both in MATLAB's order
        (columns first); None for everything else (text, functions, objects, sparse and complex numbers).

    Raises:
        ValueError: the bytes are not what the format asks for.

    Example:
        >>> read_variables(b"MATLAB 5.0 MAT-file".ljust(124) + bytes([0, 1]) + b"IM")
        {}
    """
    if content[_HEADER - 2 : _HEADER] != b"IM":
        raise ValueError("its header does not say little-endian")
    variables = {}
    for kind, data in _elements(memoryview(content)[_HEADER:]):
        if kind == _COMPRESSED:
            kind, data = _take(_elements(memoryview(_inflated(data))))
        if kind == _MATRIX:
            name, value = _matrix(data, 0)
            variables[name] = value
    return variables


def _inflated(data: memoryview) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, _LARGEST)
    except zlib.error:
        raise ValueError("compressed data are damaged") from None
    if not stream.eof:
        raise ValueError("compressed data are cut off or too large")
    return content


def _elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Type and contents of one element after the other."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise ValueError("it is cut off")
        first, second = struct.unpack_from("<II", data, at)
        if first >> 16:  # the small form: up to four bytes within the tag
            kind, size, start, at = first & 0xFFFF, first >> 16, at + 4, at + 8
        else:
            kind, size, start = first, second, at + 8
            at = start + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > min(at, len(data)):
            raise ValueError("it is cut off")
        yield kind, data[start : start + size]


def _take(elements: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    found = next(elements, None)
    if found is None:
        raise ValueError("an array is not whole")
    return found


def _numbers(element: tuple[int, memoryview]) -> NDArray[Any]:
    kind, data = element
    if kind not in _TYPES:
        raise ValueError(f"numbers of the unknown type {kind}")
    return np.frombuffer(data, f"<{_TYPES[kind]}")


def _matrix(data: memoryview, depth: int) -> tuple[str, Any]:
    """Name and value of an array."""
    if not data:
        return "", None
    if depth > _DEEPEST:
        raise ValueError("cells are nested too deeply")
    parts = _elements(data)
    flags, shape = _numbers(_take(parts)), [int(n) for n in _numbers(_take(parts))]
    name = bytes(_take(parts)[1]).decode("latin-1")
    if not len(flags) or len(shape) < 2 or min(shape) < 0:
        raise ValueError("an array has no shape")
    form, count = int(flags[0]) & 0xFF, math.prod(shape)
    if count > len(data):
        raise ValueError("an array is not whole")
    if form == _CELL:
        return name, [_child(parts, depth) for _ in range(count)]
    if form == _STRUCT:
        fields = _field_names(parts)
        return name, [{field: _child(parts, depth) for field in fields} for _ in range(count)]
    if _DOUBLE <= form <= _LAST_NUMBER and not int(flags[0]) & _COMPLEX:
        values = _numbers(_take(parts))  # MATLAB stores whole numbers in the smallest type that holds them
        wide = {_DOUBLE: np.float64, _SINGLE: np.float32}.get(form, values.dtype)
        return name, values.astype(wide).reshape(shape, order="F")
    return name, None


def _child(parts: Iterator[tuple[int, memoryview]], depth: int) -> Any:
    kind, data = _take(parts)
    if kind != _MATRIX:
        raise ValueError("a cell holds no array")
    return _matrix(data, depth + 1)[1]


def _field_names(parts: Iterator[tuple[int, memoryview]]) -> list[str]:
    width = _numbers(_take(parts))
    text = bytes(_take(parts)[1]).decode("latin-1")
    if len(width) != 1 or width[0] < 1:
        raise ValueError("a struct has no field names")
    step = int(width[0])
    return [text[i : i + step].partition("\0")[0] for i in range(0, len(text), step)]
