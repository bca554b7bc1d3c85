"""Rounding forward, the published gradients backward."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.networks.fake_quant import (  # noqa: E402
    activation_levels,
    own_step,
    pair_safe,
    round_through,
    scaled_gradient,
    weight_levels,
)
from sharpline.runtime.integer import IntegerLayer, is_pair_safe  # noqa: E402


def quantized_activation(values, step, top, rule):
    """step * levels: what a layer's output is worth, as the next layer's weights take it."""
    return step * activation_levels(values / step, step, top, rule)


@pytest.mark.parametrize("rule", ["lsq", "pact"])
def test_activations_have_the_published_gradients(rule) -> None:
    values = torch.tensor([-1.0, 0.26, 1.1, 7.0], requires_grad=True)
    step = torch.tensor(0.5, requires_grad=True)
    out = quantized_activation(values, step, 15, rule)
    assert out.tolist() == [0.0, 0.5, 1.0, 7.0]
    out.sum().backward()
    assert values.grad.tolist() == [0.0, 1.0, 1.0, 1.0]
    # LSQ equation 3: round(v/s) - v/s inside; PACT: 0 inside.
    inside = (1 - 0.52) + (2 - 2.2) + (14 - 14.0) if rule == "lsq" else 0.0
    assert step.grad.item() == pytest.approx(inside, abs=1e-5)


@pytest.mark.parametrize("rule", ["lsq", "pact"])
def test_a_saturated_activation_moves_the_step_alone(rule) -> None:
    values, step = torch.tensor([9.0], requires_grad=True), torch.tensor(0.5, requires_grad=True)
    out = quantized_activation(values, step, 15, rule)
    out.sum().backward()
    assert (out.item(), values.grad.item(), step.grad.item()) == (7.5, 0.0, 15.0)


def test_weights_have_the_gradients_of_lsq() -> None:
    weight = torch.tensor([0.33, -2.0, 0.9, -0.1]).view(1, 4, 1, 1).requires_grad_()
    step = torch.full((1, 1, 1, 1), 0.2).requires_grad_()
    out = step * weight_levels(weight, step, 4, "lsq")
    np.testing.assert_allclose(out.flatten().tolist(), [0.4, -1.6, 0.8, 0.0], atol=1e-6)
    out.sum().backward()
    assert weight.grad.flatten().tolist() == [1.0, 0.0, 1.0, 1.0]
    assert step.grad.item() == pytest.approx((2 - 1.65) - 8 + (4 - 4.5) + (0 + 0.5), abs=1e-5)


def test_one_bit_is_the_sign_and_passes_gradients_through() -> None:
    weight = torch.tensor([0.0, -0.2, 0.4, 1.4]).view(1, 4, 1, 1).requires_grad_()
    step = own_step(weight, 1, "lsq")
    assert step.item() == pytest.approx(0.5)
    levels = weight_levels(weight, step.detach(), 1, "lsq")
    assert levels.flatten().tolist() == [1.0, -1.0, 1.0, 1.0]
    (step.detach() * levels).sum().backward()
    assert weight.grad.flatten().tolist() == [1.0] * 4


@pytest.mark.parametrize("bits", [4, 2])
def test_dorefa_takes_odd_levels_and_all_of_them(bits) -> None:
    weight = torch.linspace(-3, 3, 999).view(1, -1, 1, 1).requires_grad_()
    levels = weight_levels(weight, own_step(weight, bits, "dorefa"), bits, "dorefa")
    assert sorted(set(levels.flatten().tolist())) == list(range(1 - 2**bits, 2**bits, 2))
    levels.sum().backward()
    slopes = weight.grad.flatten()
    assert (slopes > 0).all()
    assert slopes[499] > 2 * slopes[0], "tanh flattens the ends"


@pytest.mark.parametrize(("bits", "ends"), [(8, (-127, 127)), (4, (-8, 7)), (2, (-2, 1))])
def test_levels_stay_within_their_bits(bits, ends) -> None:
    weight = torch.tensor([-9.0, 0.0, 0.0, 9.0]).view(2, 2, 1, 1)
    levels = weight_levels(weight, torch.full((2, 1, 1, 1), 0.01), bits, "lsq")
    assert (levels.min(), levels.max()) == ends


def test_a_scaled_gradient_changes_no_value() -> None:
    x = torch.rand(1000, requires_grad=True)
    y = scaled_gradient(x, 0.03)
    assert torch.equal(y, x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, 0.03))


@given(inputs=st.sampled_from([1, 2, 3, 4, 7, 8]), seed=st.integers(0, 999), spread=st.sampled_from([20, 60, 200]))
def test_pair_safe_weights_cannot_saturate_and_change_little(inputs: int, seed: int, spread: int) -> None:
    rng = np.random.default_rng(seed)
    levels = np.clip(np.rint(rng.standard_normal((3, inputs, 3, 3)) * spread), -127, 127).astype(np.float32)
    safe = pair_safe(torch.from_numpy(levels)).numpy()
    layer = IntegerLayer("x", safe.astype(np.int8), np.zeros(3, np.int32), np.ones(3, np.float32))
    assert is_pair_safe([layer])
    assert (np.abs(safe) <= np.abs(levels)).all()
    assert (safe * levels >= 0).all()
    np.testing.assert_array_equal(pair_safe(torch.from_numpy(safe)).numpy(), safe)
    if inputs % 2 == 0:  # what fitted is left alone
        pairs = levels.reshape(3, -1, 2, 3, 3)
        fits = (np.abs(pairs.sum(2)) <= 128) | (pairs.prod(2) <= 0)
        kept = (safe == levels).reshape(pairs.shape)
        assert kept.all(2)[fits].all()


def test_what_is_not_pair_safe_is_seen() -> None:
    weight = np.zeros((1, 4, 1, 1), np.int8)
    weight[0, 1:3, 0, 0] = 100  # neighbours, but not a pair
    layer = IntegerLayer("x", weight, np.zeros(1, np.int32), np.ones(1, np.float32))
    assert is_pair_safe([layer])
    weight[0, 0, 0, 0] = 29
    assert not is_pair_safe([layer])


def test_rounding_passes_gradients_of_any_shape() -> None:
    x = (torch.rand(2, 3) * 9).requires_grad_()
    (round_through(x) * torch.arange(6.0).view(2, 3)).sum().backward()
    assert x.grad.flatten().tolist() == list(range(6))
