"""Windows of one size cover a picture exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.boards.windows import through_windows  # noqa: E402


def blurred(lr: np.ndarray, radius: int) -> np.ndarray:
    """Sums of neighbours within ``radius``, nothing beyond the border, twice as large."""
    padded = np.pad(lr.astype(np.int64), ((radius, radius), (radius, radius), (0, 0)))
    side = range(2 * radius + 1)
    total = sum(padded[r : r + lr.shape[0], c : c + lr.shape[1]] for r in side for c in side)
    return np.repeat(np.repeat(total, 2, 0), 2, 1)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(12, 60), height=st.integers(12, 60), window=st.tuples(st.integers(9, 12), st.integers(9, 12)),
    radius=st.integers(0, 4), seed=st.integers(0, 9),
)  # fmt: skip
def test_windows_equal_the_whole(width: int, height: int, window: tuple[int, int], radius: int, seed: int) -> None:
    lr = np.random.default_rng(seed).integers(0, 256, (height, width, 1), np.uint8)
    seen = []

    def run(part: np.ndarray) -> np.ndarray:
        seen.append(part.shape[1::-1])
        return blurred(part, radius)

    sr, cuts = through_windows(run, lr, window, radius, 2)
    np.testing.assert_array_equal(sr, blurred(lr, radius))
    assert set(seen) == {window}
    assert cuts.any() == (len(seen) > 1)


def test_a_picture_smaller_than_a_window_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="fewer than a window"):
        through_windows(lambda part: part, np.zeros((5, 5, 1), np.uint8), (8, 8), 1, 1)
