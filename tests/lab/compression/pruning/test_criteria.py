"""Which weights go, by each criterion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.compression.pruning import pruned  # noqa: E402

SHARES = ["level", "random"]


def kernel(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 99), amount=st.floats(0, 0.99))
@pytest.mark.parametrize("criterion", SHARES)
def test_a_share_is_met_exactly_even_among_equals(criterion: str, seed: int, amount: float) -> None:
    weights = kernel(seed, 4, 5, 3, 3).mul(3).round()  # many equal magnitudes
    zeros = int((weights == 0).sum())
    choice = pruned(weights, criterion, amount, layer="a")
    assert int(choice.sum()) == round(amount * weights.numel())
    assert int((choice & (weights == 0)).sum()) == min(zeros, int(choice.sum()))


@given(seed=st.integers(0, 99), amount=st.floats(0, 0.99))
def test_level_takes_the_smallest(seed: int, amount: float) -> None:
    weights = kernel(seed, 6, 7)
    choice = pruned(weights, "level", amount)
    assert weights.abs()[choice].max() <= weights.abs()[~choice].min() if choice.any() else amount < 0.02


def test_threshold_and_sensitivity() -> None:
    weights = torch.tensor([[-0.1, 0.2], [0.3, -0.4]])
    assert pruned(weights, "threshold", 0.25).tolist() == [[True, True], [False, False]]
    deviation = weights.std(correction=0)
    assert torch.equal(pruned(weights, "sensitivity", 1.2), weights.abs() < 1.2 * deviation)
    assert 0 < int(pruned(weights, "sensitivity", 1.2).sum()) < 4


def test_a_threshold_of_zero_keeps_the_zeros_there_are() -> None:
    assert pruned(torch.tensor([0.0, 1e-9]), "threshold", 0).tolist() == [True, False]


def test_random_depends_on_seed_and_layer_alone_and_grows_from_itself() -> None:
    weights = kernel(0, 8, 8)
    first = pruned(weights, "random", 0.3, layer="a", seed=1)
    assert torch.equal(first, pruned(weights * 2 + 5, "random", 0.3, layer="a", seed=1))
    assert not torch.equal(first, pruned(weights, "random", 0.3, layer="b", seed=1))
    assert not torch.equal(first, pruned(weights, "random", 0.3, layer="a", seed=2))
    assert bool((pruned(weights, "random", 0.6, layer="a", seed=1) | ~first).all())


@pytest.mark.parametrize("criterion", ["level", "threshold", "sensitivity", "random"])
def test_what_is_zero_stays_chosen(criterion: str) -> None:
    weights = kernel(3, 10, 10)
    amount = 0.4
    before = pruned(weights, criterion, amount, layer="a")
    after = pruned(weights.masked_fill(before, 0), criterion, amount, layer="a")
    assert bool((after | ~before).all())
