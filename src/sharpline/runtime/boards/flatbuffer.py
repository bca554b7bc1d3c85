"""Reading flatbuffers: as much as a TFLite file needs, with every offset checked.

The format: https://flatbuffers.dev/internals/. A table begins with the distance back to its vtable, which holds
the place of each field, 0 for one that is absent.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


class DamagedError(Exception):
    """An offset that leads out of the file."""


@dataclass(frozen=True)
class Table:
    """A table of a flatbuffer.

    Attributes:
        data: the whole file.
        place: of the table in it.
    """

    data: bytes
    place: int

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The table that a file begins with."""
        return cls(data, _read("<I", data, 0))

    def integer(self, field: int, form: str, default: int = 0) -> int:
        """A number, little-endian; ``form`` as in ``struct``: ``i`` int32, ``I`` uint32, ``b`` int8, ``Q`` uint64."""
        place = self._field(field)
        return default if place is None else _read(f"<{form}", self.data, place)

    def text(self, field: int) -> str:
        """A string; empty where it is absent."""
        return self.content(field).decode("utf-8", "replace")

    def content(self, field: int) -> bytes:
        """A vector of bytes."""
        start, count = self._vector(field, 1)
        return self.data[start : start + count]

    def integers(self, field: int, form: str = "i") -> tuple[int, ...]:
        """A vector of numbers."""
        start, count = self._vector(field, struct.calcsize(form))
        return struct.unpack_from(f"<{count}{form}", self.data, start)

    def table(self, field: int) -> Table | None:
        """Another table."""
        place = self._field(field)
        return None if place is None else Table(self.data, place + _read("<I", self.data, place))

    def tables(self, field: int) -> list[Table]:
        """A vector of tables."""
        start, count = self._vector(field, 4)
        places = range(start, start + 4 * count, 4)
        return [Table(self.data, place + _read("<I", self.data, place)) for place in places]

    def _field(self, field: int) -> int | None:
        vtable = self.place - _read("<i", self.data, self.place)
        if vtable < 0 or 4 + 2 * field >= _read("<H", self.data, vtable):
            return None
        offset = _read("<H", self.data, vtable + 4 + 2 * field)
        return self.place + offset if offset else None

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        place = self._field(field)
        if place is None:
            return 0, 0
        start = place + _read("<I", self.data, place)
        count = _read("<I", self.data, start)
        if start + 4 + count * size > len(self.data):
            raise DamagedError
        return start + 4, count


def _read(form: str, data: bytes, place: int) -> int:
    if place < 0:
        raise DamagedError
    try:
        return int(struct.unpack_from(form, data, place)[0])
    except struct.error:
        raise DamagedError from None
