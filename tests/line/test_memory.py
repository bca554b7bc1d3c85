"""What a line does so that its memory stays where it is. Whether it does: ``benchmarks/line.py --soak``."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from patience import eventually
from sharpline.line import memory
from sharpline.line.config import parse_line
from sharpline.line.conveyor import conveyor
from sharpline.line.running import Line

SPREAD = """
import ctypes, sys, threading
if sys.argv[1] == "settled":
    from sharpline.line import memory
    assert memory.settle()
library, gate = ctypes.CDLL(None), threading.Barrier(12)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
def work():
    gate.wait()
    library.malloc(100_000)
    gate.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
library.fopen.restype, library.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p] * 2
library.malloc_info.argtypes, library.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
file = library.fopen(sys.argv[2].encode(), b"w")
library.malloc_info(0, file)
library.fclose(file)
print(open(sys.argv[2]).read().count("<heap nr="))
"""

needs_glibc = pytest.mark.skipif(memory._glibc() is None, reason="not Linux with glibc: nothing is done here")


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@needs_glibc
def test_settled_threads_share_an_arena(tmp_path: Path) -> None:
    def arenas(how: str) -> int:
        command = [sys.executable, "-c", SPREAD, how, str(tmp_path / "info.xml")]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert arenas("settled") == 1
    assert arenas("as it is") > 1


@needs_glibc
def test_what_is_free_between_things_that_stay_is_given_back() -> None:
    blocks = [bytearray(100_000) for _ in range(2000)]  # below the size that is mapped by itself
    full = resident()
    del blocks[1::2]
    memory.give_back()
    assert full - resident() > 50e6
    assert len(blocks) == 1000


def test_a_line_does_both(monkeypatch: pytest.MonkeyPatch) -> None:
    settled, given = [], []
    monkeypatch.setattr(memory, "settle", lambda: settled.append(1))
    monkeypatch.setattr(memory, "give_back", lambda: given.append(time.monotonic()))
    monkeypatch.setattr(memory, "EVERY", 0.5)
    with Line(parse_line({"model": "bicubic", "view": None}), sources=[conveyor("belt", 64, 48)]):
        assert settled == [1]
        assert eventually(lambda: len(given) == 3)
    assert min(later - sooner for sooner, later in pairwise(given)) >= 0.5


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    assert not memory.settle()
    memory.give_back()
