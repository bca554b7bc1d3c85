"""What a level is worth: steps of activations and weights, units of the last accumulator, integer anchors."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sharpline.lab.networks.fake_quant import WeightRule, weight_levels

_EVENNESS = 0.5  # 0: one step for all channels of a layer; 1: each channel fills all levels
_LARGEST = 127  # of a weight
_COARSEST = 8  # units to a level
_CENTRE_COPIES = 2  # how often the exports may repeat the middle pixel; see runtime.integer_graph


def activation_steps(ranges: NDArray[np.float64], top: int) -> Tensor:
    """Steps of a layer's channels.

    A channel may have a step of its own, since the ReLU passes any factor and the next layer's weights take it
    back; but what a channel with a small range gains in fineness its weights lose. The geometric mean of both
    extremes is taken (Nagel et al., "Data-Free Quantization", ICCV 2019, section 4.1, has it for whole layers).

    Args:
        ranges: [C], values at which channels saturate, 0 for one that is never active.
        top: largest level.

    Returns:
        float32 [C].

    Example:
        >>> activation_steps(np.array([510.0, 127.5, 0.0]), 255).tolist()
        [2.0, 1.0, 2.0]
    """
    widest = ranges.max(initial=0) or float(top)
    own = np.where(ranges > 0, ranges, widest)
    return torch.from_numpy(own**_EVENNESS * widest ** (1 - _EVENNESS) / top).float()


def weight_steps(weight: Tensor, bits: int, rule: WeightRule, importance: Tensor) -> Tensor:
    """The step of each output channel with the smallest error.

    Args:
        weight: [out, in, k, k] per level of the input.
        bits: of the weights.
        rule: how they are rounded.
        importance: [in], mean square of each input channel's levels.

    Returns:
        float32 [out].
    """
    top = _LARGEST if bits == 8 else 2 ** (bits - 1) - 0.5
    full = weight.abs().flatten(1).amax(1).clamp_min(1e-8) / top
    shares = torch.linspace(0.3, 1.6, 66) if bits < 8 else torch.linspace(0.6, 2.0, 57)
    errors = torch.stack([_error(weight, full * share, bits, rule, importance) for share in shares])
    return full * shares[errors.argmin(0)]


def tail_units(weight: Tensor, importance: Tensor, scale: int, colours: int) -> NDArray[np.int64]:
    """For each output of the last layer, how many units of its accumulator are one level of the picture.

    Multiples of the anchor's denominator, with which it is exact; where the weights need a coarser unit, its halves.

    Args:
        weight: [out, in, k, k] of the last layer, levels of the picture per level of the input.
        importance: [in], as in :func:`weight_steps`.
        scale: enlargement.
        colours: of the picture.

    Returns:
        int64 [out].
    """
    taps = bilinear_fractions(scale)
    exact = _denominator(taps)
    finest = [_finest(taps[row][column]) for row in range(scale) for column in range(scale) for _ in range(colours)]
    halves = [exact >> by for by in range(1, exact.bit_length()) if exact >> by >= _COARSEST]
    tried = [*range(exact, max(*finest, exact) + 1, exact), *halves]
    errors = torch.stack([_error(weight, torch.full((len(weight),), 1 / n), 8, "lsq", importance) for n in tried])
    too_large = (weight.abs().flatten(1).amax(1) * exact > _LARGEST).tolist()
    allowed = [[n <= max(f, exact) if n >= exact else t for f, t in zip(finest, too_large, strict=True)] for n in tried]
    best = errors.masked_fill(~torch.tensor(allowed), torch.inf).argmin(0)
    units: NDArray[np.int64] = np.array(tried, np.int64)[best.numpy()]
    return units


def integer_anchor(units: NDArray[np.int64], scale: int, colours: int) -> NDArray[np.int32]:
    """The bilinear anchor in units of the last accumulator; an even surface stays exactly what it is.

    Args:
        units: [out], from :func:`tail_units`.
        scale: enlargement.
        colours: of the picture.

    Returns:
        int32 [out, 3, 3]; each output's taps sum up to its units.

    Example:
        >>> integer_anchor(np.array([16] * 4), 2, 1)[0]
        array([[1, 3, 0],
               [3, 9, 0],
               [0, 0, 0]], dtype=int32)
    """
    taps, anchor = bilinear_fractions(scale), np.zeros((len(units), 3, 3), np.int32)
    for output, unit in enumerate(units.tolist()):
        row, column = divmod(output // colours, scale)
        exact = [share * unit for share in taps[row][column]]
        whole = [int(value) for value in exact]
        missing = unit - sum(whole)
        for place in sorted(range(9), key=lambda p: whole[p] - exact[p])[:missing]:  # largest remainders first
            whole[place] += 1
        anchor[output] = np.array(whole).reshape(3, 3)
    return anchor


def bilinear_fractions(scale: int) -> list[list[list[Fraction]]]:
    """For each row and column in a block, the exact weights of the nine LR pixels around it."""
    across = []
    for place in range(scale):
        offset = Fraction(2 * place + 1 - scale, 2 * scale)  # of the pixel's centre from the LR pixel's
        across.append([max(-offset, Fraction(0)), 1 - abs(offset), max(offset, Fraction(0))])
    return [[[r * c for r in row for c in column] for column in across] for row in across]


def _denominator(taps: list[list[list[Fraction]]]) -> int:
    return int(np.lcm.reduce([share.denominator for row in taps for column in row for share in column]))


def _finest(taps: list[Fraction]) -> int:
    """The most units that a level may be: a tap holds 127, the middle one is repeated."""
    others = max(share for place, share in enumerate(taps) if place != 4)
    limits = [_LARGEST * _CENTRE_COPIES / taps[4]] + ([_LARGEST / others] if others else [])
    return int(min(limits))


def _error(weight: Tensor, step: Tensor, bits: int, rule: WeightRule, importance: Tensor) -> Tensor:
    """Mean square error of each output channel's sum, [out], were the inputs independent."""
    wide = step[:, None, None, None]
    missed = weight - weight_levels(weight, wide, bits, rule) * wide
    return (missed.square().sum((2, 3)) * importance).sum(1)
