"""The reader of .mat files agrees with SciPy's on whole files, and is strict with others."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from scipy.io import savemat

from sharpline.lab.importing.matfile import read_variables

DTYPES = [np.float32, np.float64, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64]
arrays = hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=2, max_dims=4, max_side=4))
HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def saved(variables: dict[str, Any], *, compress: bool = False) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, do_compression=compress)
    return file.getvalue()


def cell(values: list[Any]) -> np.ndarray:
    array = np.empty((len(values), 1), object)
    array[:, 0] = values
    return array


@given(st.lists(arrays, max_size=4), st.booleans())
def test_arrays_cells_and_structs_come_back(values: list[np.ndarray], compress: bool) -> None:
    variables = {"net": {"layers": cell(values), "first": np.arange(6.0).reshape(2, 3)}, "text": "words"}
    read = read_variables(saved(variables, compress=compress))
    assert read["text"] is None
    [net] = read["net"]
    np.testing.assert_array_equal(net["first"], variables["net"]["first"])
    assert len(net["layers"]) == len(values)
    for got, expected in zip(net["layers"], values, strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


def test_complex_numbers_are_not_taken_for_real() -> None:
    assert read_variables(saved({"x": np.array([[1 + 2j]])})) == {"x": None}


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(form: int, shape: list[int], rest: bytes, name: bytes = b"model") -> bytes:
    head = element(6, struct.pack("<II", form, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, head + element(1, name) + rest)


def nested(depth: int) -> bytes:
    return matrix(1, [1, 1], nested(depth - 1)) if depth else matrix(6, [1, 1], element(9, bytes(8)))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (matrix(6, [2, 2], element(9, bytes(8))), "reshape"),
        (matrix(6, [1, 1], b""), "not whole"),
        (matrix(1, [30000, 30000], b""), "not whole"),
        (matrix(1, [1, 1], element(9, bytes(8))), "no array"),
        (matrix(6, [-1, -1], element(9, bytes(8))), "no shape"),
        (matrix(6, [1, 1], element(99, bytes(8))), "unknown type"),
        (nested(40), "too deeply"),
        (matrix(6, [1, 1], element(9, bytes(8)))[:-5], "cut off"),
        (struct.pack("<II", 15, 4) + b"junk", "damaged"),
        (struct.pack("<II", 15, 9) + zlib.compress(bytes(100))[:9], "cut off"),
        (b"\x01\x02\x03", "cut off"),
    ],
)
def test_what_is_not_whole_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_variables(HEADER + body)


def test_small_pieces_are_read_as_written() -> None:
    assert read_variables(HEADER + nested(2))["model"][0][0].tolist() == [[0.0]]
