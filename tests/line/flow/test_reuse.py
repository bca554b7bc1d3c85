"""Tiles that are taken over make the same picture as one that is enlarged whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpline.line.flow.reuse import Reuse
from sharpline.runtime.upscaler import Upscaler

HALO = 2


def blur_up(lr: np.ndarray) -> np.ndarray:
    """Each pixel the sum over its 5 x 5 neighbourhood (zeros beyond the border), two times as large."""
    padded = np.pad(lr.astype(np.uint32), ((HALO, HALO), (HALO, HALO), (0, 0)))
    h, w = lr.shape[:2]
    total = sum(padded[y : y + h, x : x + w] * (1 + y + 5 * x) for y in range(5) for x in range(5))
    return np.asarray(total % 251).astype(lr.dtype).repeat(2, 0).repeat(2, 1)


class Counting:
    """An upscaler that knows how many pixels it was asked for."""

    def __init__(self) -> None:
        self.pixels = 0

    def __call__(self, lr: np.ndarray) -> np.ndarray:
        self.pixels += lr.shape[0] * lr.shape[1]
        return blur_up(lr)


CHANGE = st.tuples(st.integers(0, 39), st.integers(0, 49), st.integers(1, 12), st.integers(1, 12), st.integers(0, 255))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.one_of(st.none(), st.lists(CHANGE, max_size=3)), min_size=1, max_size=6),
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(4, 20),
    st.sampled_from([1, 2]),
)
def test_any_sequence_of_changes_equals_whole_pictures(
    pictures: list[list[Any] | None], dtype: Any, tile: int, multiple: int
) -> None:
    reuse = Reuse(blur_up, scale=2, halo=HALO, multiple=multiple, tile=tile)
    first = lr = np.random.default_rng(0).integers(0, 256, (40, 50, 1)).astype(dtype)
    made = []
    for changes in pictures:
        lr = (first if changes is None else lr).copy()  # None: back to the first
        for y, x, h, w, value in changes or ():
            lr[y : y + h, x : x + w] = value
        sr, reused = reuse(lr)
        assert 0 <= reused <= 1
        np.testing.assert_array_equal(sr, blur_up(lr))
        made.append((sr, blur_up(lr)))
    for sr, expected in made:  # what was handed out is not written to later
        np.testing.assert_array_equal(sr, expected)


def test_an_unchanged_picture_costs_nothing_and_a_small_change_little() -> None:
    count = Counting()
    reuse = Reuse(count, scale=2, halo=HALO, tile=16)
    lr = np.zeros((160, 160, 3), np.uint8)
    assert reuse(lr)[1] == 0.0
    before = count.pixels
    assert reuse(lr.copy())[1] == 1.0
    assert count.pixels == before
    lr = lr.copy()
    lr[80, 80] = 255
    _, reused = reuse(lr)
    assert 0.9 < reused < 1
    assert count.pixels - before <= 4 * 20 * 20


def test_a_change_in_the_halo_renews_the_neighbour_too() -> None:
    reuse = Reuse(blur_up, scale=2, halo=HALO, tile=16)
    lr = np.zeros((64, 64, 1), np.uint8)
    reuse(lr)
    for x in range(64):  # wherever the seams are
        lr = lr.copy()
        lr[30, x] = 200
        np.testing.assert_array_equal(reuse(lr)[0], blur_up(lr))


def test_when_everything_changes_the_picture_is_enlarged_in_one_piece() -> None:
    count = Counting()
    reuse = Reuse(count, scale=2, halo=HALO, tile=8)
    reuse(np.zeros((64, 64, 1), np.uint8))
    count.pixels = 0
    assert reuse(np.full((64, 64, 1), 9, np.uint8))[1] == 0.0
    assert count.pixels == 64 * 64


def test_noise_below_the_threshold_is_no_change_and_cannot_add_up() -> None:
    reuse = Reuse(blur_up, scale=2, halo=HALO, tile=16, noise=4)
    lr = np.full((48, 48, 1), 100, np.uint8)
    first, _ = reuse(lr)
    assert reuse(lr + np.uint8(4))[0] is first
    assert reuse(lr - np.uint8(4))[1] == 1.0
    drift, shares = lr, []
    for _ in range(3):
        drift = drift + np.uint8(3)
        sr, reused = reuse(drift)
        shares.append(reused)
    assert shares == [1.0, 0.0, 1.0]
    np.testing.assert_array_equal(sr, blur_up(lr + np.uint8(6)))


def test_another_size_or_depth_begins_anew() -> None:
    reuse = Reuse(blur_up, scale=2, halo=HALO, tile=16)
    for shape, dtype in (((40, 40, 1), np.uint8), ((40, 44, 1), np.uint8), ((40, 44, 1), np.uint16)):
        lr = np.full(shape, 7, dtype)
        np.testing.assert_array_equal(reuse(lr)[0], blur_up(lr))


def test_after_a_failure_no_half_renewed_picture_comes_out() -> None:
    broken = False

    def upscale(lr: np.ndarray) -> np.ndarray:
        if broken and lr.max() == 77:
            raise RuntimeError("no")
        return blur_up(lr)

    reuse = Reuse(upscale, scale=2, halo=HALO, tile=16)
    lr = np.zeros((96, 96, 1), np.uint8)
    reuse(lr)
    lr = lr.copy()
    lr[4, 4], lr[90, 90] = 50, 77
    broken = True
    with pytest.raises(RuntimeError):
        reuse(lr)
    broken = False
    np.testing.assert_array_equal(reuse(lr)[0], blur_up(lr))


def test_a_real_network_agrees_with_itself_to_a_level() -> None:
    upscaler = Upscaler("edge-s-x4", threads=1)
    reuse = Reuse(upscaler, scale=4, halo=upscaler.card.receptive_field, tile=32)
    lr = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    reuse(lr)
    for step in range(3):
        lr = lr.copy()
        lr[20 + 9 * step : 40 + 9 * step, 30:50] += np.uint8(31)
        sr, reused = reuse(lr)
        assert reused > 0
        assert np.abs(sr.astype(int) - upscaler(lr)).max() <= 1
