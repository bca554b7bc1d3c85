"""Deflate streams from files that may lie: never more than asked for, never less without a word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from isal import isal_zlib

from sharpline.errors import ImageError

_CUT = "its compressed pixels are cut off; copy or download it again"
_FED_AT_ONCE = 1 << 16  # bytes: what the decompressor does not take it hands back as a copy


class InflatedStream:
    """A zlib stream (RFC 1950) that is read piece by piece.

    Args:
        parts: The compressed bytes, in order.

    Example:
        >>> stream = InflatedStream([isal_zlib.compress(b"abcdef")])
        >>> bytes(stream.read(4)), bytes(stream.read(2)), stream.finish()
        (b'abcd', b'ef', False)
    """

    def __init__(self, parts: Iterable[bytes | memoryview]) -> None:
        self._pieces = _pieces(parts)
        self._decompressor = isal_zlib.decompressobj()

    def read(self, size: int) -> bytearray:
        """Exactly ``size`` bytes.

        Raises:
            ImageError: There are fewer.
            isal_zlib.error: The stream is damaged.
        """
        out = bytearray()
        while len(out) < size:
            piece = self._decompressor.unconsumed_tail or next(self._pieces, None)
            data = self._decompressor.decompress(piece or b"", size - len(out))
            if piece is None and not data:
                raise ImageError(_CUT)
            out += data
        return out

    def finish(self) -> bool:
        """Go on to the end, where the checksum is compared, but over no more than a byte of data.

        Returns:
            Whether there is more data than was read.

        Raises:
            ImageError: There is no end.
            isal_zlib.error: The stream is damaged.
        """
        while not self._decompressor.eof:
            piece = self._decompressor.unconsumed_tail or next(self._pieces, None)
            if self._decompressor.decompress(piece or b"", 1):
                return True
            if piece is None:
                raise ImageError(_CUT)
        return False


def _pieces(parts: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    for part in parts:
        view = memoryview(part)
        for at in range(0, len(view), _FED_AT_ONCE):
            yield view[at : at + _FED_AT_ONCE]
