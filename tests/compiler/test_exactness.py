"""The compiled network computes what the judge computes: every byte, nothing beside it."""

import ctypes
import hashlib
import mmap
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sharpline.runtime.integer import check_picture, upscale_integer

side = st.integers(1, 40)
exactly = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def noise(height: int, width: int, colours: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, (height, width, colours), np.uint8)
    return np.where(rng.random(levels.shape) < seed % 3 / 4, np.uint8(255 * (seed % 2)), levels)


@exactly
@given(height=side, width=side, threads=st.integers(1, 6), seed=st.integers(0, 99), gap=st.integers(0, 9))
def test_every_byte(native, height: int, width: int, threads: int, seed: int, gap: int) -> None:
    model, library = native
    wide = noise(height, width + gap, model.colours, seed)
    lr = wide[:, :width]  # rows with something between them
    expected = upscale_integer(model, lr)
    np.testing.assert_array_equal(library.run(lr, threads, gap=gap), expected)


@pytest.mark.parametrize("size", [(1, 300), (300, 1), (2, 129), (65, 3)])
def test_lines(native, size: tuple[int, int]) -> None:
    model, library = native
    lr = noise(*size, model.colours, 7)
    np.testing.assert_array_equal(library.run(lr, 3), upscale_integer(model, lr))


def test_a_network_that_shows_something(native) -> None:
    """The networks of these tests do not compute the same level everywhere."""
    model, _ = native
    assert len(np.unique(upscale_integer(model, noise(9, 9, model.colours, 3)))) > 20


def test_what_it_says_of_itself_and_can_be_checked_with(native) -> None:
    model, library = native
    check = library.info["check"]
    assert library.info["abi"] == 1
    assert (library.info["scale"], library.info["colours"]) == (model.scale, model.colours)
    assert library.info["halo"] == model.receptive_field
    for case in check["cases"]:
        lr = check_picture(check["seed"], case["height"], case["width"], model.colours)
        assert hashlib.sha256(library.run(lr, 2).tobytes()).hexdigest() == case["sha256"]


class Walled:
    """Memory between two pages that nobody may touch, right behind the first or right before the second."""

    def __init__(self, size: int, *, at_end: bool, writable: bool = True) -> None:
        page = mmap.PAGESIZE
        inner = -(-size // page) * page
        self.memory = mmap.mmap(-1, inner + 2 * page)
        first = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.address = first + page + (inner - size if at_end else 0)
        self.array = np.frombuffer(self.memory, np.uint8, size, self.address - first)
        self.walls = [(first, page, 0), (first + page + inner, page, 0)]
        self.inside = None if writable else (first + page, inner, mmap.PROT_READ)

    def close(self) -> None:
        """Forbid, once the content is there."""
        for address, size, allowed in self.walls + [self.inside] * bool(self.inside):
            assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), allowed) == 0


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (13, 50)])
def test_it_stays_within_its_memory(native, size: tuple[int, int], at_end: bool) -> None:
    """A byte read or written outside would end the process; so would one written into the picture."""
    model, library = native
    (height, width), s, colours = size, model.scale, model.colours
    lr = noise(height, width, colours, 5)
    source = Walled(lr.size, at_end=at_end, writable=False)
    sr, room = (Walled(n, at_end=at_end) for n in (lr.size * s * s, library.scratch(height, width, 2)))
    source.array[:] = lr.ravel()
    for walled in (source, sr, room):
        walled.close()
    row = width * colours
    code = library.upscale(source.address, height, width, row, sr.address, row * s, 2, room.address, len(room.array))
    assert code == 0
    np.testing.assert_array_equal(sr.array, upscale_integer(model, lr).ravel())


def test_many_callers_at_once(small) -> None:
    model, library = small
    pictures = [noise(3 + 5 * n % 37, 40 - n, 3, n) for n in range(24)]
    expected = [upscale_integer(model, picture) for picture in pictures]
    wrong: list[int] = []

    def call(number: int) -> None:
        for _ in range(5):
            if (library.run(pictures[number], 1 + number % 4) != expected[number]).any():
                wrong.append(number)

    callers = [threading.Thread(target=call, args=[n]) for n in range(len(pictures))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_what_it_refuses(small) -> None:
    _, library = small
    lr, sr = np.zeros((4, 5, 3), np.uint8), np.full((8, 10, 3), 7, np.uint8)
    room = np.zeros(library.scratch(4, 5, 1), np.uint8)

    def code(**other: int | None) -> int:
        values = {
            **{"lr": lr.ctypes.data, "height": 4, "width": 5, "lr_stride": 15, "sr": sr.ctypes.data, "sr_stride": 30},
            **{"threads": 1, "scratch": room.ctypes.data, "bytes": len(room)},
        }
        return library.upscale(*{**values, **other}.values())

    assert [code(height=0), code(width=-3), code(height=2**40)] == [1, 1, 1]
    assert [code(lr_stride=14), code(sr_stride=29)] == [2, 2]
    assert [code(lr=None), code(sr=None), code(scratch=None)] == [3, 3, 3]
    assert [code(threads=0), code(threads=10_000)] == [4, 4]
    assert code(bytes=len(room) - 1) == 5
    assert (sr == 7).all()
    assert code() == 0
    assert [library.scratch(0, 5, 1), library.scratch(4, 5, 0)] == [-1, -1]
