"""Patches: aligned, seeded, the same however many processes share them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.data import PictureCache  # noqa: E402
from sharpline.lab.data.patches import Ahead, PatchSampler, most_detailed  # noqa: E402


def pictures(scale: int = 2, flat: bool = False) -> PictureCache:
    """Two LR pictures of noise whose HR versions repeat each pixel."""
    rng = np.random.default_rng(1)
    lr = [rng.integers(0, 256, (20, 30, 3), np.uint8), rng.integers(0, 256, (40, 12, 3), np.uint8)]
    if flat:
        lr[0][:, :15] = 128
    return PictureCache(["a", "b"], [p.repeat(scale, 0).repeat(scale, 1) for p in lr], lr, "none")


@pytest.mark.parametrize("candidates", [1, 4])
def test_hr_and_teacher_are_aligned_with_lr(candidates: int) -> None:
    cache = pictures()
    sampler = PatchSampler({2: cache}, 6, 8, seed=0, candidates=candidates, taught=[255 - hr for hr in cache.hr])
    for _ in range(5):
        batch = sampler.next()
        enlarged = batch.lr.repeat_interleave(2, 2).repeat_interleave(2, 3)
        assert torch.equal(batch.hr, enlarged)
        assert batch.taught is not None
        torch.testing.assert_close(batch.taught, 1 - enlarged)
        assert batch.names == sorted(set(batch.names))


def test_processes_share_what_one_would_draw() -> None:
    def batches(process: tuple[int, int]) -> torch.Tensor:
        sampler = PatchSampler({2: pictures(), 3: pictures(3)}, 6, 6, seed=3, candidates=2, process=process)
        return [sampler.next() for _ in range(4)]

    whole, first, second = batches((0, 1)), batches((0, 2)), batches((1, 2))
    assert {batch.scale for batch in whole} == {2, 3}
    for one, a, b in zip(whole, first, second, strict=True):
        assert torch.equal(one.hr, torch.cat([a.hr, b.hr]))
    with pytest.raises(UsageError, match="shared equally by 4"):
        PatchSampler({2: pictures()}, 6, 6, seed=3, process=(0, 4))


def test_more_candidates_mean_more_detail() -> None:
    def spread(candidates: int) -> float:
        sampler = PatchSampler({2: pictures(flat=True)}, 6, 64, seed=0, candidates=candidates)
        return float(sampler.next().lr.std((1, 2, 3)).min())

    assert spread(1) == 0  # some patches are flat
    assert spread(16) > 0.1
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[4:, 20:] = np.random.default_rng(0).integers(0, 256, (6, 10, 3))
    assert most_detailed(picture, 4, np.array([[0.0, 0.0], [0.9, 0.9], [0.5, 0.1]])) == (6, 24)


def test_drawing_ahead_changes_nothing() -> None:
    plain, ahead = PatchSampler({2: pictures()}, 6, 4, seed=5), Ahead(PatchSampler({2: pictures()}, 6, 4, seed=5))
    try:
        assert all(torch.equal(plain.next().hr, ahead.next().hr) for _ in range(3))
        state = ahead.state()
        coming = [ahead.next().hr for _ in range(2)]
        ahead.restore(state)
        assert all(torch.equal(batch, ahead.next().hr) for batch in coming)
    finally:
        ahead.close()
