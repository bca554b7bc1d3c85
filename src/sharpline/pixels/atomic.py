"""A file appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` for writing; it takes that name when the block ends well.

    Args:
        path: The final name. Killed half-way, nothing stands under it (a hidden
            ``.sharpline-*.tmp`` may remain).
        overwrite: Replace a file of that name. Otherwise the name is taken only if it is still free at
            the end, so that of two processes one fails and neither destroys the other's file.

    Yields:
        The temporary file, binary, seekable.

    Raises:
        FileExistsError: The name is taken and ``overwrite`` is False.
        OSError: The folder or disk does not take it. The temporary file is gone then.
    """
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "the file exists", str(path))
    temporary = path.with_name(f".sharpline-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
        if overwrite:
            temporary.replace(path)
        else:
            _take_free_name(temporary, path)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # people know the file by its name; a full disk says none
            error.filename = str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # what is read-only says so even of a file that is not there
            temporary.unlink(missing_ok=True)


def _take_free_name(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # fails if the name is taken: no moment between asking and taking
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, as on memory cards
        with contextlib.closing(path.open("xb")):
            pass
        temporary.replace(path)
