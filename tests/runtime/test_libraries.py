"""The list of compiled libraries beside a model: what is wrong with it is one line for people."""

from __future__ import annotations

import pytest

from sharpline.errors import ModelError
from sharpline.runtime.libraries import read_libraries


@pytest.mark.parametrize("content", [b"\xff\xfe\x00garbage", b"", b"[]", b'{"abi": 2}', b"\x00" * 40])
def test_garbage_is_no_list(tmp_path, content) -> None:
    path = tmp_path / "net.libraries.json"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"is no list of compiled libraries of this version") as refusal:
        read_libraries(path)
    assert "codec" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_cannot_be_read_says_why_without_a_number(tmp_path) -> None:
    (tmp_path / "net.libraries.json").mkdir()
    with pytest.raises(ModelError, match=r"cannot be read \(Is a directory\)") as refusal:
        read_libraries(tmp_path / "net.libraries.json")
    assert "Errno" not in str(refusal.value)


def test_no_list_is_none(tmp_path) -> None:
    assert read_libraries(tmp_path / "net.libraries.json") is None
