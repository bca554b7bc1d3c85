"""Tag directories (IFDs) of TIFF and EXIF: read entries, write entries, and carry EXIF between the two.

TIFF 6.0, section 2, and the BigTIFF layout. Values are held in little-endian order whatever the file's order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

ReadAt = Callable[[int, int], bytes]

TYPE_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_SWAP_UNIT = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 0x8769, 0x8825, 0xA005

# Tags of a TIFF's main directory that describe the photograph, not the storage of its pixels.
DESCRIPTIVE_TAGS = frozenset(
    {0x010E, 0x010F, 0x0110, 0x0112, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C}
    | {0x4746, 0x4749, 0x8298, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}
)

_MAX_ENTRIES = 4096
_MAX_VALUE = 16 << 20


@dataclass(frozen=True)
class Entry:
    """One tag: its number, TIFF type, count of values, and the values as little-endian bytes."""

    tag: int
    kind: int
    count: int
    value: bytes

    @property
    def number(self) -> int:
        """The first value as an integer (0 for types that are not integers)."""
        size = TYPE_SIZES[self.kind]
        whole = self.kind in (1, 3, 4, 13, 16, 18) and len(self.value) >= size
        return int.from_bytes(self.value[:size], "little") if whole else 0


def short(tag: int, *values: int) -> Entry:
    """An entry of 16-bit integers."""
    return Entry(tag, 3, len(values), struct.pack(f"<{len(values)}H", *values))


def long(tag: int, *values: int) -> Entry:
    """An entry of 32-bit integers."""
    return Entry(tag, 4, len(values), struct.pack(f"<{len(values)}I", *values))


def rational(tag: int, value: float) -> Entry:
    """An entry of one fraction, to a ten-thousandth."""
    return Entry(tag, 5, 1, struct.pack("<2I", *fraction(value)))


def fraction(value: float) -> tuple[int, int]:
    """A positive number as numerator and denominator of at most 32 bits each.

    Example:
        >>> fraction(300.0), fraction(72.009)
        ((300, 1), (720090, 10000))
    """
    if value == int(value):
        return min(int(value), 2**32 - 1), 1
    return min(round(value * 10_000), 2**32 - 1), 10_000


def read_directory(read_at: ReadAt, offset: int, order: str, big: bool = False) -> tuple[list[Entry], int]:
    """Read one directory.

    Args:
        read_at: Gives ``length`` bytes at ``offset`` (fewer at the end of the data).
        offset: Where the directory stands.
        order: ``<`` or ``>``.
        big: BigTIFF layout.

    Returns:
        The entries (those of unknown type or cut off are left out) and the offset of the next directory.

    Raises:
        ValueError: There is no directory there.
    """
    count_format, entry_format, word = ("Q", "HHQ8s", 8) if big else ("H", "HHI4s", 4)
    count_size, entry_size = struct.calcsize("<" + count_format), struct.calcsize("<" + entry_format)
    head = read_at(offset, count_size)
    if offset <= 0 or len(head) < count_size:
        raise ValueError(f"no tag directory at byte {offset}")
    count = struct.unpack(order + count_format, head)[0]
    body = read_at(offset + count_size, count * entry_size + word) if count <= _MAX_ENTRIES else b""
    if len(body) < count * entry_size or not body:
        raise ValueError(f"the tag directory at byte {offset} is cut off")
    entries = []
    for tag, kind, n, inline in struct.iter_unpack(order + entry_format, body[: count * entry_size]):
        length = TYPE_SIZES.get(kind, 0) * n
        if not 0 < length <= _MAX_VALUE:
            continue
        where = int.from_bytes(inline, "little" if order == "<" else "big")
        value = inline[:length] if length <= word else read_at(where, length)
        if len(value) == length:
            entries.append(Entry(tag, kind, n, _little(value, kind, order)))
    tail = body[count * entry_size :]
    return entries, int.from_bytes(tail, "little" if order == "<" else "big") if len(tail) == word else 0


def _little(value: bytes, kind: int, order: str) -> bytes:
    unit = _SWAP_UNIT.get(kind, 1)
    if order == "<" or unit == 1:
        return value
    return b"".join(value[i : i + unit][::-1] for i in range(0, len(value), unit))


def write_directory(entries: Iterable[Entry], offset: int) -> bytes:
    """Lay out one little-endian classic directory and its values, to stand at ``offset`` (even) in the file.

    The offset of the next directory is 0. The directory itself comes first, so ``offset`` is its address.
    """
    ordered = sorted({e.tag: e for e in entries}.values(), key=lambda e: e.tag)
    values = bytearray()
    rows = bytearray(struct.pack("<H", len(ordered)))
    values_at = offset + 2 + 12 * len(ordered) + 4
    for e in ordered:
        if len(e.value) <= 4:
            inline = e.value.ljust(4, b"\0")
        else:
            inline = struct.pack("<I", values_at + len(values))
            values += e.value + bytes(len(e.value) % 2)
        rows += struct.pack("<HHI", e.tag, e.kind, e.count) + inline
    return bytes(rows + bytes(4) + values)


@dataclass(frozen=True)
class ExifTags:
    """EXIF taken apart: the descriptive tags of the main directory, the EXIF and the GPS directory."""

    main: list[Entry]
    exif: list[Entry]
    gps: list[Entry]


def _says_shape(entry: Entry) -> bool:
    """Whether it is the ImageDescription in which tifffile notes an array's shape, untrue after a resize."""
    return entry.tag == 0x010E and entry.value.startswith(b'{"shape"')


def read_exif_tags(read_at: ReadAt, offset: int, order: str, big: bool = False) -> ExifTags:
    """Read the three directories, from an EXIF block or from a TIFF file's first page.

    Raises:
        ValueError: There is no main directory. Sub-directories that cannot be read are left out.
    """
    main, _ = read_directory(read_at, offset, order, big)
    subs: dict[int, list[Entry]] = {EXIF_POINTER: [], GPS_POINTER: []}
    for entry in main:
        if entry.tag in subs:
            try:
                found, _ = read_directory(read_at, entry.number, order, big)
            except ValueError:
                continue
            subs[entry.tag] = [e for e in found if e.kind <= 13 and e.tag != INTEROP_POINTER]
    kept = [e for e in main if e.tag in DESCRIPTIVE_TAGS and e.kind <= 13 and not _says_shape(e)]
    return ExifTags(kept, subs[EXIF_POINTER], subs[GPS_POINTER])


def write_exif_tags(tags: ExifTags, start: int) -> tuple[bytes, list[Entry]]:
    """Lay out the sub-directories from byte ``start`` (even) on.

    Returns:
        Their bytes, and the entries for the main directory (descriptive tags and pointers).
    """
    data, main = bytearray(), list(tags.main)
    for pointer, entries in ((EXIF_POINTER, tags.exif), (GPS_POINTER, tags.gps)):
        if entries:
            main.append(long(pointer, start + len(data)))
            data += write_directory(entries, start + len(data))
    return bytes(data), main


def exif_block(tags: ExifTags) -> bytes | None:
    """An EXIF block (little-endian TIFF structure) of these tags; None if there is nothing in them."""
    subs, main = write_exif_tags(tags, 8)
    if not main:
        return None
    at = 8 + len(subs)
    return b"II*\0" + struct.pack("<I", at) + subs + write_directory(main, at)
