"""What the guard sees, and what it must not see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import data

from sharpline.line.config import GuardConfig
from sharpline.line.flow.rungs import bicubic
from sharpline.line.guard import Guard, consistency_map
from sharpline.pixels.imresize import imresize
from sharpline.runtime.upscaler import Upscaler
from staged_line import frame, noise

PHOTO = imresize(data.astronaut(), size=(96, 120))


@settings(deadline=None)
@given(
    st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda dtype: hnp.arrays(dtype, st.tuples(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3])))
    ),
    st.integers(1, 4),
    st.integers(0, 2**31),
)
def test_the_map_is_what_its_definition_says(lr: np.ndarray, s: int, seed: int) -> None:
    h, w, c = lr.shape
    top = np.iinfo(lr.dtype).max
    sr = np.random.default_rng(seed).integers(0, top + 1, (h * s, w * s, c)).astype(lr.dtype)
    shrunk = sr.reshape(h, s, w, s, c).astype(float).mean(axis=(1, 3))
    error = np.abs(shrunk - lr).mean(axis=2) * 255 / top
    expected = [[error[y : y + 8, x : x + 8].mean() for x in range(0, w, 8)] for y in range(0, h, 8)]
    np.testing.assert_allclose(consistency_map(lr, sr), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", ["edge-s-x4", "edge-m-x4"])
def test_our_networks_are_consistent_and_a_foreign_picture_is_not(model: str) -> None:
    sr = Upscaler(model, threads=1)(PHOTO)
    limit = GuardConfig().consistency
    assert consistency_map(PHOTO, sr).max() < limit / 2
    pasted = sr.copy()
    pasted[100:160, 100:160] = sr[300:360, 40:100]  # a piece of another place
    assert consistency_map(PHOTO, pasted).max() > limit


def test_the_previous_picture_passed_off_as_the_new_one_is_an_alarm() -> None:
    guard = Guard(GuardConfig(), live=True)
    error, found = guard.check(frame(image=PHOTO), bicubic(PHOTO[::-1].copy(), 4), now=0.0)
    assert error is not None
    assert error > 20
    assert "consistency" in found


def test_only_every_nth_frame_is_measured() -> None:
    guard = Guard(GuardConfig(every=3), live=True)
    errors = [guard.check(frame(number=n, image=noise(n)), noise(n), now=0.0)[0] for n in range(7)]
    assert [error is not None for error in errors] == [True, False, False, True, False, False, True]


def test_the_frames_own_pixels_are_not_measured_against_themselves() -> None:
    shown = frame(image=PHOTO)
    assert Guard(GuardConfig(), live=True).check(shown, shown.image, now=0.0) == (None, {})


def test_black_plain_and_frozen_pictures_are_alarms() -> None:
    guard = Guard(GuardConfig(frozen="2s"), live=True)  # type: ignore[arg-type]
    black, plain = np.full((40, 40, 3), 5, np.uint8), np.full((40, 40, 3), (200, 90, 10), np.uint8)
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 30, (40, 40, 3), dtype=np.uint8)

    def kinds(image: np.ndarray, clock: float) -> set[str]:
        return set(guard.check(frame(image=image.copy(), clock=clock), image, now=clock)[1])

    assert kinds(black, 0) == {"black"}
    assert kinds(plain, 1) == {"plain"}
    assert kinds(dark, 2) == set()
    assert kinds(dark, 3.9) == set()
    assert kinds(dark, 4.1) == {"frozen"}
    assert kinds(rng.integers(0, 30, (40, 40, 3), dtype=np.uint8), 4.2) == set()
    quiet = Guard(GuardConfig(frozen=None), live=True)
    assert not quiet.check(frame(image=dark, clock=0), dark, now=0)[1]
    assert not quiet.check(frame(image=dark, clock=9000), dark, now=9000)[1]


def test_a_16_bit_picture_has_the_same_limits() -> None:
    guard = Guard(GuardConfig(), live=True)
    deep = PHOTO.astype(np.uint16) * 257
    error, found = guard.check(frame(image=deep), bicubic(deep, 2), now=0.0)
    assert not found
    assert error is not None
    assert error < 20
    assert set(guard.check(frame(image=deep // 64), deep // 64, now=0.0)[1]) == {"black"}


def test_what_is_too_old_is_said_live_and_not_in_a_replay() -> None:
    old = frame(image=PHOTO, clock=0.0)
    assert set(Guard(GuardConfig(), live=True).check(old, PHOTO, now=2.5)[1]) == {"age"}
    assert not Guard(GuardConfig(), live=False).check(old, PHOTO, now=2.5)[1]


def test_cameras_do_not_share_their_memory() -> None:
    guard = Guard(GuardConfig(frozen="1s"), live=True)  # type: ignore[arg-type]
    for clock in range(4):
        for name in ("a", "b"):
            image = PHOTO if name == "a" else np.roll(PHOTO, clock, axis=1)
            found = guard.check(frame(name, image=image.copy(), clock=clock), image, now=clock)[1]
            assert ("frozen" in found) == (name == "a" and clock >= 2)
