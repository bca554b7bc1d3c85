"""The synthetic line: reproducible, moving, cheap to look at."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from sharpline.line.belt import PARTS, belt
from sharpline.line.conveyor import Scene, conveyor
from sharpline.line.frame import Frame


def test_a_seed_gives_the_same_pictures_and_another_seed_others() -> None:
    a, b, c = (Scene(96, 72, 15, seed) for seed in (1, 1, 2))
    for number in (0, 5, 1000):
        np.testing.assert_array_equal(a.picture(number), b.picture(number))
        assert (a.picture(number) != c.picture(number)).any()


def test_the_parts_move_by_the_belt_s_speed() -> None:
    scene = Scene(200, 100, 15, 3)
    first, later = scene.picture(0).astype(float), scene.picture(50).astype(float)
    moved = round(50 / 15 * 0.18 * 200)
    same, shifted = np.abs(first - later).mean(), np.abs(first[:, moved:] - later[:, :-moved]).mean()
    assert shifted < 5 < same


def test_the_belt_comes_round() -> None:
    scene = Scene(100, 60, 10, 1)
    once_round = round(6 / 0.18 * 10)
    difference = scene.picture(2).astype(float) - scene.picture(2 + once_round)
    assert np.abs(difference).mean() < 12


def test_the_camera_is_cheap_noise_on_every_picture() -> None:
    scene = Scene(96, 72, 1e9, 1)  # the belt stands
    a, b = scene.picture(0).astype(float), scene.picture(1).astype(float)
    assert 2 < (a - b).std() < 6


@pytest.mark.parametrize("part", PARTS)
def test_a_defect_is_small_and_there(part) -> None:
    good, bad = (np.asarray(part(120, random.Random(4), defect)).astype(int) for defect in (False, True))
    changed = (np.abs(good - bad).max(axis=2) > 20).mean()
    assert 0.001 < changed < 0.2


def test_a_belt_without_faults_differs_from_one_full_of_them() -> None:
    assert (belt(300, 80, 1, faulty=0.0) != belt(300, 80, 1, faulty=1.0)).any()


def test_it_keeps_its_rate_and_ends() -> None:
    frames: list[Frame] = []
    source = conveyor("belt", 64, 48, fps=50, frames=11)
    source.start(frames.append)
    assert source.join(20)
    assert [frame.number for frame in frames] == list(range(11))
    assert frames[-1].clock - frames[0].clock >= 0.18
    assert abs(frames[-1].captured - time.time()) < 20
