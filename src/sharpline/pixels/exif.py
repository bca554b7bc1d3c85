"""Corrections of an EXIF block in place: nothing is moved, so maker notes with inner offsets stay valid.

EXIF 2.32 (CIPA DC-008), a TIFF structure: main directory, EXIF directory, thumbnail directory.
"""

from __future__ import annotations

import struct

from sharpline.pixels.tiff_tags import (
    EXIF_POINTER,
    Entry,
    ExifTags,
    ReadAt,
    exif_block,
    fraction,
    rational,
    read_directory,
    read_exif_tags,
    short,
)

_WIDTH, _LENGTH, _ORIENTATION = 0x0100, 0x0101, 0x0112
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_DATA_TAGS = ((0x0111, 0x0117), (0x0201, 0x0202))  # (offset, byte count) of a thumbnail's data


def clean_exif(block: bytes | None) -> bytes | None:
    """An EXIF block without the prefix that JPEG puts before it; None if it cannot be understood.

    Example:
        >>> clean_exif(b"nonsense") is None
        True
    """
    block = (block or b"").removeprefix(b"Exif\0\0")
    try:
        _main(block)
    except ValueError:
        return None
    return block


def orientation_of(block: bytes | None) -> int | None:
    """The Orientation tag (1 to 8) of a clean EXIF block; None where it has none."""
    for entry in _main(block)[0] if block else []:
        if entry.tag == _ORIENTATION and 1 <= entry.number <= 8:
            return entry.number
    return None


def dpi_of(block: bytes | None) -> tuple[float, float] | None:
    """Pixels per inch of a clean EXIF block; None where it does not say."""
    return dpi_of_entries(_main(block)[0]) if block else None


def dpi_of_entries(entries: list[Entry]) -> tuple[float, float] | None:
    """Pixels per inch by the resolution tags of a main directory; None where they do not say."""
    found = {e.tag: e for e in entries}
    unit = found[_RESOLUTION_UNIT].number if _RESOLUTION_UNIT in found else 2
    inch = {2: 1.0, 3: 2.54}.get(unit)
    values = []
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        if tag not in found or found[tag].kind != 5 or inch is None:
            return None
        above, below = struct.unpack("<2I", found[tag].value[:8])
        if not above or not below:
            return None
        values.append(above / below * inch)
    return values[0], values[1]


def tags_of(block: bytes | None) -> ExifTags:
    """The tags of a clean EXIF block, for a TIFF file."""
    if not block:
        return ExifTags([], [], [])
    return read_exif_tags(_reader(block), _start(block), _order(block))


def correct_exif(block: bytes, size: tuple[int, int], dpi: tuple[float, float] | None) -> bytes:
    """Make a clean EXIF block true for upright pixels of another size.

    Args:
        block: Clean EXIF block.
        size: Width and height of the pixels in the file.
        dpi: Pixels per inch; None leaves the resolution tags alone.

    Returns:
        The block with Orientation 1, size and resolution tags (those that it has) set, and no thumbnail.
    """
    data, order = bytearray(block), _order(block)
    width, height = size
    numbers = {_ORIENTATION: 1, _WIDTH: width, _LENGTH: height, _PIXEL_X: width, _PIXEL_Y: height}
    if dpi:
        numbers[_RESOLUTION_UNIT] = 2
    resolution = dict(zip((_X_RESOLUTION, _Y_RESOLUTION), dpi or (), strict=False))
    end = _correct_directory(data, _start(block), order, numbers, resolution)
    for entry in _main(block)[0]:
        if entry.tag == EXIF_POINTER:
            _correct_directory(data, entry.number, order, numbers, {})
    next_at = struct.unpack_from(order + "I", data, end)[0] if end + 4 <= len(data) else 0
    if next_at:
        struct.pack_into(order + "I", data, end, 0)
        _erase_thumbnail(data, next_at, order, end + 4)
    return bytes(data)


def with_dpi(block: bytes | None, dpi: tuple[float, float]) -> bytes:
    """A clean EXIF block that says the resolution, for files that have no other place for it.

    A block that lacks the tags gets a new main directory at its end; all other data stay where they are.
    """
    tags = {e.tag for e in _main(block)[0]} if block else set()
    if block and {_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT} <= tags:
        return block
    entries = [rational(_X_RESOLUTION, dpi[0]), rational(_Y_RESOLUTION, dpi[1]), short(_RESOLUTION_UNIT, 2)]
    if not block:
        return exif_block(ExifTags(entries, [], [])) or b""
    return _with_entries(block, entries)


def _with_entries(block: bytes, entries: list[Entry]) -> bytes:
    order, start = _order(block), _start(block)
    count = struct.unpack_from(order + "H", block, start)[0]
    new = {e.tag for e in entries}
    rows = [block[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    rows = [r for r in rows if struct.unpack(order + "H", r[:2])[0] not in new]
    at = len(block) + len(block) % 2
    values, values_at = bytearray(), at + 2 + 12 * (len(rows) + len(entries)) + 4
    for e in entries:
        numbers = struct.unpack(f"<{len(e.value) // 4}I", e.value) if e.kind == 5 else (e.number,)
        if e.kind == 5:
            field = struct.pack(order + "I", values_at + len(values))
            values += struct.pack(order + "2I", *numbers)
        else:
            field = struct.pack(order + "HH", numbers[0], 0)
        rows.append(struct.pack(order + "HHI", e.tag, e.kind, e.count) + field)
    rows.sort(key=lambda r: int(struct.unpack(order + "H", r[:2])[0]))
    directory = struct.pack(order + "H", len(rows)) + b"".join(rows) + bytes(4) + bytes(values)
    head = block[:4] + struct.pack(order + "I", at) + block[8:]
    return head.ljust(at, b"\0") + directory


def _correct_directory(
    data: bytearray, offset: int, order: str, numbers: dict[int, int], resolution: dict[int, float]
) -> int:
    """Set the tags that are there; returns where the offset of the next directory stands."""
    if offset <= 0 or offset + 2 > len(data):
        return len(data)
    count = struct.unpack_from(order + "H", data, offset)[0]
    for at in range(offset + 2, min(offset + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, n = struct.unpack_from(order + "HHI", data, at)
        if tag in numbers and kind in (3, 4) and n == 1:
            value = numbers[tag]
            kind = 3 if kind == 3 and value < 1 << 16 else 4
            field = struct.pack(order + ("HH" if kind == 3 else "I"), *((value, 0) if kind == 3 else (value,)))
            data[at + 2 : at + 12] = struct.pack(order + "HI", kind, 1) + field
        elif tag in resolution and kind == 5 and n == 1:
            where = struct.unpack_from(order + "I", data, at + 8)[0]
            if 8 <= where <= len(data) - 8:
                struct.pack_into(order + "2I", data, where, *fraction(resolution[tag]))
    return int(offset + 2 + 12 * count)


def _erase_thumbnail(data: bytearray, offset: int, order: str, floor: int) -> None:
    """Blank the thumbnail's data (it may show what was cropped away); cut it off where it ends the block."""
    try:
        entries, _ = read_directory(_reader(bytes(data)), offset, order)
    except ValueError:
        return
    found = {e.tag: e.number for e in entries}
    for offset_tag, length_tag in _DATA_TAGS:
        start, length = found.get(offset_tag, 0), found.get(length_tag, 0)
        if start < floor or start + length > len(data):
            continue
        if start + length == len(data):
            del data[start:]
        else:
            data[start : start + length] = bytes(length)


def _reader(block: bytes) -> ReadAt:
    return lambda offset, length: block[offset : offset + length]


def _order(block: bytes) -> str:
    return "<" if block[:2] == b"II" else ">"


def _start(block: bytes) -> int:
    return int(struct.unpack_from(_order(block) + "I", block, 4)[0])


def _main(block: bytes) -> tuple[list[Entry], int]:
    if block[:4] not in (b"II*\0", b"MM\0*") or len(block) < 14:
        raise ValueError("not an EXIF block")
    return read_directory(_reader(block), _start(block), _order(block))
