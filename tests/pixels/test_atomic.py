"""Files that appear whole or not at all: what is said where they cannot."""

import errno
import os
from pathlib import Path

import pytest

from sharpline.pixels.atomic import whole_file


def test_a_full_disk_is_told_with_the_files_name(tmp_path: Path) -> None:
    path = tmp_path / "a.so"

    def write() -> None:
        with whole_file(path, overwrite=True) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as write(2) does, which knows no names

    with pytest.raises(OSError, match="No space") as caught:
        write()
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_is_read_only_is_told_with_the_files_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)  # also of a file that is not there
    with pytest.raises(OSError, match="Read-only") as caught, whole_file(tmp_path / "a.so", overwrite=True):
        pass
    assert caught.value.filename == str(tmp_path / "a.so")
