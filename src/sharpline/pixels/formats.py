"""Which formats there are: by name, by suffix, by content, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sharpline.errors import ImageError, UsageError


@dataclass(frozen=True)
class WrittenFormat:
    """A format that can be written, and its limits.

    Args:
        name: Its name in ``format=`` and ``--format``.
        suffixes: File suffixes that mean it; the first one is the usual one.
        max_side: Longest side in pixels that the format (or the readers of the world) can take.
        max_pixels: Largest number of pixels, or None.
        alpha: Whether it holds alpha.
    """

    name: str
    suffixes: tuple[str, ...]
    max_side: int
    max_pixels: int | None = None
    alpha: bool = True


WRITTEN_FORMATS = {
    f.name: f
    for f in (
        WrittenFormat("png", (".png",), 1_000_000),  # libpng's readers refuse more
        WrittenFormat("jpg", (".jpg", ".jpeg", ".jpe", ".jfif"), 65_535, alpha=False),
        WrittenFormat("webp", (".webp",), 16_383),
        WrittenFormat("avif", (".avif",), 32_768, max_pixels=1 << 28),  # libavif's readers refuse more
        WrittenFormat("tiff", (".tiff", ".tif"), (1 << 31) - 1),
    )
}

_READ_ONLY_SUFFIXES = (".apng", ".bmp", ".gif", ".mpo")

INPUT_SUFFIXES: frozenset[str] = frozenset(
    (*_READ_ONLY_SUFFIXES, *(s for f in WRITTEN_FORMATS.values() for s in f.suffixes))
)
"""Suffixes (lower case, with the dot) of the files that a walk through a folder takes for pictures."""

READABLE = "PNG, JPEG, WebP, AVIF, TIFF, GIF or BMP"


def format_of(path: str | Path, format: str | None = None) -> WrittenFormat:
    """The format to write a path in.

    Args:
        path: Path of the output file; its suffix decides.
        format: Name that decides instead: png, jpg, webp, avif or tiff (any known suffix will do too).

    Returns:
        The format.

    Raises:
        UsageError: No such format.

    Example:
        >>> format_of("a.JPEG").name, format_of("a.out", "tif").name
        ('jpg', 'tiff')
    """
    wanted = Path(path).suffix.lower() if format is None else "." + format.lower().lstrip(".")
    for written in WRITTEN_FORMATS.values():
        if wanted in written.suffixes:
            return written
    what = f"suffix {wanted!r}" if format is None and wanted else f"format {format!r}" if format else "no suffix"
    names = ", ".join(WRITTEN_FORMATS)
    raise UsageError(f"cannot tell the format to write ({what}); choose one of {names}")


def check_writable_format(format: str, width: int, height: int, has_alpha: bool) -> None:
    """Refuse, before any work is done, a picture that a format cannot hold.

    Args:
        format: png, jpg, webp, avif or tiff.
        width: Width in pixels.
        height: Height in pixels.
        has_alpha: Whether the picture is transparent anywhere.

    Raises:
        ImageError: The format cannot hold it; the message names the limit and the formats that can.
        UsageError: No such format.

    Example:
        >>> check_writable_format("webp", 16_383, 100, has_alpha=True)
    """
    chosen = format_of("", format)
    reason = _why_not(chosen, width, height, has_alpha)
    if reason:
        others = [f.name for f in WRITTEN_FORMATS.values() if not _why_not(f, width, height, has_alpha)]
        raise ImageError(f"{reason}; choose {', '.join(others) or 'a smaller size'}")


def _why_not(format: WrittenFormat, width: int, height: int, has_alpha: bool) -> str | None:
    too_large = f"{width} x {height} is too large for {format.name}, which ends at"
    if max(width, height) > format.max_side:
        return f"{too_large} {format.max_side} pixels a side"
    if format.max_pixels and width * height > format.max_pixels:
        return f"{too_large} {format.max_pixels} pixels"
    if has_alpha and not format.alpha:
        return f"{format.name} cannot hold transparency"
    return None


def sniff(head: bytes) -> str | None:
    """Tell a format by the first bytes of a file, whatever its name says.

    Args:
        head: At least the first 32 bytes.

    Returns:
        png, jpg, webp, avif, tiff, gif or bmp; None where it is none of them.

    Example:
        >>> sniff(b"GIF89a" + bytes(26))
        'gif'
    """
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and (head[8:12] in (b"avif", b"avis") or b"avif" in head[16:]):
        return "avif"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "bmp"
    return None
