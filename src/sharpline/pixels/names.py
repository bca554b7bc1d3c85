"""Names and reasons as they may stand in a one-line message."""

from __future__ import annotations

import os

_LONGEST = 160


def printable(path: str | os.PathLike[str]) -> str:
    """A path as one line of printable text, whatever bytes its name has.

    Example:
        >>> printable("a" + chr(10) + "b.png") == "a" + chr(92) + "nb.png"
        True
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(error: BaseException) -> str:
    """What an error says, on one line and not too long; its type where it says nothing."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(said.split())
    return printable(text[:_LONGEST]) or type(error).__name__
