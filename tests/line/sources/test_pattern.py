import hashlib
import time

import numpy as np
import pytest

from patience import PATIENCE, busy
from sharpline.line.sources.config import Pattern, PatternSource, make_source
from sharpline.line.sources.pattern import pattern


def test_it_is_the_same_on_every_machine():
    digest = hashlib.sha256(b"".join(pattern(number, 320, 240).tobytes() for number in (0, 7, 999_999))).hexdigest()
    assert digest == "8b1384dec7b35a4ef9d2acbee91dfbdfc502e68beef4c98587729eaa38b756f4"


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (64, 48), (321, 241)])
def test_any_size(size):
    assert pattern(12, *size).shape == (size[1], size[0], 3)


def test_the_number_is_drawn_in():
    """The digits of a number are the same dots whatever the colours behind: two numbers differ in their digits only."""
    one, other = pattern(123456, 320, 240), pattern(123450, 320, 240)
    dot = 320 // 3 // 26
    boxes = [(slice(0, 7 * dot), slice((1 + 4 * place) * dot, (4 + 4 * place) * dot)) for place in range(6)]
    assert [np.array_equal(one[box], other[box]) for box in boxes] == [True] * 5 + [False]
    assert set(np.unique(one[: 7 * dot, : 25 * dot])) == {0, 255}


def test_live_it_keeps_its_rate():
    source, frames = make_source(PatternSource(name="p", pattern=Pattern(size=(32, 24), fps=50, frames=25))), []
    began = time.monotonic()
    source.start(frames.append)
    assert source.join(PATIENCE)
    assert 0.45 < time.monotonic() - began < 4 * busy()
    assert [np.array_equal(frame.image, pattern(frame.number, 32, 24)) for frame in frames] == [True] * 25


def test_a_replay_does_not_wait():
    source, frames = (
        make_source(PatternSource(name="p", pattern=Pattern(size=(32, 24), fps=1, frames=25)), replay=True),
        [],
    )
    began = time.monotonic()
    source.start(frames.append)
    assert source.join(PATIENCE)
    assert time.monotonic() - began < 20
    assert len(frames) == 25
