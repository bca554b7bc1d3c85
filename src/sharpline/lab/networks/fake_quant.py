"""Rounding that learns: integers in the forward pass, gradients straight through in the backward one.

Everything here works on *levels*: integers held in float32, exact below 2^24. What a level is worth is in the steps
of the layers around it, and the gradients reach them.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

WeightRule = Literal["lsq", "dorefa"]
ActivationRule = Literal["lsq", "pact"]
Bits = Literal[1, 2, 4, 8]

_SMALLEST = 1e-12  # of a step: a channel may have no weights but zero
_PAIR_LIMIT = 128  # sharpline.runtime.integer.PAIR_LIMIT says why


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def round_through(x: Tensor) -> Tensor:
    """Round to the nearest integer, ties to even; the gradient passes as if nothing had happened.

    Source: Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013, section 4.

    Example:
        >>> x = torch.tensor([0.5, 1.4], requires_grad=True)
        >>> y = round_through(x)
        >>> y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([0.0, 1.0], [1.0, 1.0])
    """
    rounded: Tensor = _Round.apply(x)  # type: ignore[no-untyped-call]
    return rounded


def scaled_gradient(x: Tensor, factor: float) -> Tensor:
    """The very same value with its gradient multiplied (LSQ's factor for steps, section 2.2)."""
    return x.detach() + factor * (x - x.detach())


def activation_levels(x: Tensor, step: Tensor, top: int, rule: ActivationRule, zero: int = 0) -> Tensor:
    """Levels of activations, counted from the one that stands for 0: -zero..top - zero; what is outside saturates.

    With ``zero`` 0 what is below 0 becomes 0: the ReLU.

    Args:
        x: activations divided by ``step`` already, with its gradient.
        step: what a level is worth, broadcastable to ``x``.
        top: largest level.
        rule: ``lsq``: the step's gradient knows of the rounding too (Esser et al., "Learned Step Size
            Quantization", ICLR 2020, equation 3); ``pact``: only of the saturation (Choi et al., "PACT", 2018,
            section 3; the clipping level alpha is ``top * step``).
        zero: the level that stands for 0.

    Returns:
        Integers in float.
    """
    low, high = -zero, top - zero
    levels = round_through(x.clamp(low, high))
    if rule == "pact":  # step * levels no longer changes with the step, but where it saturates
        inside = (x > low) & (x < high)
        levels = levels + (inside * (x - levels)).detach() * (step / step.detach() - 1)
    return levels


def weight_levels(weight: Tensor, step: Tensor, bits: int, rule: WeightRule) -> Tensor:
    """Levels of weights.

    Args:
        weight: [out, in, k, k].
        step: [out, 1, 1, 1], what a level is worth; :func:`own_step` for one bit and for ``dorefa``.
        bits: 8 (-127..127), 4 (-8..7), 2 (-2..1) or 1 (-1 and 1).
        rule: how 4 and 2 bits are taken: ``lsq``: to the nearest level; ``dorefa``: to odd levels, -15..15 or -3..3,
            after tanh (Zhou et al., "DoReFa-Net", 2016, equation 9). One bit is the sign in both.

    Returns:
        Integers in float; those of 8 bits are pair-safe.

    Example:
        >>> weight_levels(torch.tensor([[[[0.3]], [[-0.9]]]]), torch.full((1, 1, 1, 1), 0.1), 4, "lsq").flatten()
        tensor([ 3., -8.])
    """
    if bits == 1:
        signs = torch.where(weight < 0, -1.0, 1.0)
        return signs.add((weight - weight.detach()) / step.detach())
    if rule == "dorefa" and bits < 8:
        count = 2**bits - 1
        bent = torch.tanh(weight / (step * count)) / math.tanh(1)  # -1..1, as step * count is the largest weight
        return round_through((bent / 2 + 0.5).clamp(0, 1) * count).mul(2).sub(count)
    low, high = (-127, 127) if bits == 8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    levels = round_through((weight / step).clamp(low, high))
    return levels + (pair_safe(levels) - levels).detach() if bits == 8 else levels


def own_step(weight: Tensor, bits: int, rule: WeightRule) -> Tensor | None:
    """The step [out, 1, 1, 1] that follows from the weights [out, in, k, k]; None where it is learned.

    Example:
        >>> own_step(torch.tensor([[[[0.3]], [[-0.9]]]]), 1, "lsq").item()  # the mean magnitude, DoReFa equation 7
        0.6000000238418579
    """
    if bits == 1:
        return weight.abs().mean((1, 2, 3), keepdim=True).clamp_min(_SMALLEST)
    if rule == "dorefa" and bits < 8:
        return weight.detach().abs().amax((1, 2, 3), keepdim=True).clamp_min(_SMALLEST).div(2**bits - 1)
    return None


def pair_safe(levels: Tensor) -> Tensor:
    """Cut weights so that no two that a CPU adds in 16 bits saturate there.

    Neighbouring input channels 2i and 2i + 1 of one sign may sum up to 128; the excess is taken from both alike.
    With an odd number of channels pairs lie differently in every engine, so each weight is cut to 64.

    Args:
        levels: integers in float, [out, in, k, k].

    Returns:
        The same shape.

    Example:
        >>> pair_safe(torch.tensor([127.0, 100.0, 127.0, -127.0]).view(1, 4, 1, 1)).flatten()
        tensor([  78.,   50.,  127., -127.])
    """
    if levels.shape[1] % 2:
        return levels.clamp(-_PAIR_LIMIT // 2, _PAIR_LIMIT // 2)
    pairs = levels.view(len(levels), -1, 2, *levels.shape[2:])
    first, second = pairs.unbind(2)
    excess = (first.abs() + second.abs() - _PAIR_LIMIT).clamp_min(0) * (first * second > 0)
    cut = torch.stack([(excess / 2).floor(), (excess / 2).ceil()], 2)
    return (pairs - pairs.sign() * cut).flatten(1, 2)
