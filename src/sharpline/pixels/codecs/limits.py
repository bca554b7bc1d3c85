"""What a hostile file must not make us do: allocate, decode or inflate without bound."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from sharpline.errors import ImageError

MAX_METADATA = 64 << 20


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture by the size in its header, before anything is allocated for it."""
    if width < 1 or height < 1:
        raise ImageError(f"its header says {width} x {height} pixels; the file is damaged")
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} is {width * height:,} pixels, more than the limit of {max_pixels:,}; "
            f"if the file is meant, raise it with --max-pixels {width * height}"
        )


def read_whole(file: BinaryIO, max_pixels: int) -> bytes:
    """All bytes of a file, unless it is longer than any picture of ``max_pixels`` could be."""
    size = file.seek(0, 2)
    most = max_pixels * 8 + MAX_METADATA
    if size > most:
        raise ImageError(f"the file has {size:,} bytes, more than {max_pixels:,} pixels need; see --max-pixels")
    file.seek(0)
    return file.read()


def check_frames(frames: int, what: str = "frames") -> None:
    """Refuse a file that holds more than one picture."""
    if frames > 1:
        raise ImageError(f"it has {frames} {what}; split it into single pictures first")


def inflate(data: bytes) -> bytes | None:
    """Decompressed metadata; None if it is damaged or absurdly large."""
    try:
        d = zlib.decompressobj()
        out = d.decompress(data, MAX_METADATA)
        return out if d.eof else None
    except zlib.error:
        return None
