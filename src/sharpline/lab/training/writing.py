"""Files of a run's folder: whole or not at all, and what to do where the disk is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sharpline.errors import SharplineError
from sharpline.pixels.atomic import whole_file


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file of a run's folder, which appears whole or not at all.

    Raises:
        SharplineError: the disk is full or the folder has gone.
    """
    try:
        with whole_file(path, overwrite=True) as file:
            yield file
    except OSError as error:
        raise unwritten(path, error) from None


def unwritten(path: Path, error: OSError) -> SharplineError:
    """What to do where a file of a run's folder cannot be written."""
    return SharplineError(f"{path}: cannot be written ({error.strerror}); make room, then go on with --resume")
