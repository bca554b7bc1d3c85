import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharpline.runtime.tiling import spans, upscale_tiled


@settings(deadline=None)
@given(
    length=st.integers(1, 400),
    tile=st.integers(1, 120),
    halo=st.integers(0, 30),
    multiple=st.sampled_from([1, 2, 4, 8]),
)
def test_spans_cover_the_axis_once_with_the_whole_halo(length, tile, halo, multiple):
    plan = spans(length, tile, halo, multiple)
    padded = -(-length // multiple) * multiple
    assert [s.first for s in plan] == [0] + [s.last for s in plan[:-1]]
    assert plan[-1].last == length
    for span in plan:
        assert span.first < span.last
        assert span.start % multiple == span.stop % multiple == 0
        assert span.start == 0 or span.first - span.start >= halo
        assert span.stop == padded or span.stop - span.last >= halo
        assert 0 <= span.start < span.stop <= padded
    assert len({span.stop - span.start for span in plan}) == 1, "tiles differ in size"


def test_a_tile_as_large_as_the_picture_is_the_picture():
    (span,) = spans(100, 100, 12)
    assert (span.start, span.stop) == (0, 100)


def _box_filter(radius):
    """A network stand-in: sums over a window, zeros beyond the border, nearest enlargement by 2."""

    def upscale(lr):
        padded = np.pad(lr, ((radius, radius), (radius, radius), (0, 0))).astype(np.int64)
        size = 2 * radius + 1
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))
        return (windows.sum((-1, -2)) % 251).astype(np.uint8).repeat(2, 0).repeat(2, 1)

    return upscale


@settings(deadline=None)
@given(
    height=st.integers(1, 97),
    width=st.integers(1, 97),
    tile=st.integers(3, 60),
    radius=st.integers(0, 5),
    extra=st.integers(0, 3),
)
def test_tiled_equals_whole_exactly_for_integer_arithmetic(height, width, tile, radius, extra):
    image = np.random.default_rng(height * width).integers(0, 256, (height, width, 1), dtype=np.uint8)
    upscale = _box_filter(radius)
    out = np.empty((2 * height, 2 * width, 1), np.uint8)
    upscale_tiled(image, out, upscale, tile=tile, halo=radius + extra)
    np.testing.assert_array_equal(out, upscale(image))


def test_a_halo_too_small_is_visible():
    """The law above has teeth: with one pixel of halo less, it does not hold."""
    image = np.random.default_rng(0).integers(0, 256, (60, 60, 1), dtype=np.uint8)
    upscale = _box_filter(3)
    out = np.empty((120, 120, 1), np.uint8)
    upscale_tiled(image, out, upscale, tile=16, halo=2)
    assert not np.array_equal(out, upscale(image))


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (37, 41), (64, 64)])
def test_aligned_tiles_see_aligned_sizes_and_repeat_the_border(size):
    seen = []

    def upscale(lr):
        seen.append(lr.shape)
        return lr.repeat(2, 0).repeat(2, 1)

    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    out = np.empty((2 * size[0], 2 * size[1], 3), np.uint8)
    upscale_tiled(image, out, upscale, tile=10, halo=3, multiple=8)
    np.testing.assert_array_equal(out, image.repeat(2, 0).repeat(2, 1))
    assert all(height % 8 == width % 8 == 0 for height, width, _ in seen)


def test_progress_counts_every_tile():
    calls = []
    image = np.zeros((50, 70, 1), np.uint8)
    upscale_tiled(image, image.copy(), lambda lr: lr, tile=20, halo=2, progress=lambda d, t: calls.append((d, t)))
    assert calls == [(i + 1, len(calls)) for i in range(len(calls))]
    assert len(calls) > 4
