"""What a level is worth: steps of activations and weights, units of the last accumulator, integer anchors."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sharpline.lab.networks.fake_quant import WeightRule, weight_levels

Taps = list[list[list[Fraction]]]  # for each row and column in a block, the nine pixels around

EVENNESS = 0.5
_LARGEST = 127  # of a weight
_COARSEST = 8  # units to a level
_CENTRE_COPIES = 2  # how often the exports may repeat the middle pixel; see runtime.integer_graph


def activation_steps(ranges: NDArray[np.float64], top: int, evenness: float = EVENNESS) -> Tensor:
    """Steps of a layer's channels.

    A channel may have a step of its own, since the ReLU passes any factor and the next layer's weights take it
    back; but what a channel with a small range gains in fineness its weights lose. The geometric mean of both
    extremes is taken (Nagel et al., "Data-Free Quantization", ICCV 2019, section 4.1, has it for whole layers).

    Args:
        ranges: [C], values at which channels saturate, 0 for one that is never active.
        top: largest level.
        evenness: 0: one step for all channels of a layer; 1: each channel fills all levels.

    Returns:
        float32 [C].

    Example:
        >>> activation_steps(np.array([510.0, 127.5, 0.0]), 255).tolist()
        [2.0, 1.0, 2.0]
    """
    widest = ranges.max(initial=0) or float(top)
    own = np.where(ranges > 0, ranges, widest)
    return torch.from_numpy(own**evenness * widest ** (1 - evenness) / top).float()


def zero_level(low: NDArray[np.float64], high: NDArray[np.float64], top: int) -> int:
    """The level that stands for 0 in a layer with values of both signs: one for all of its channels.

    Args:
        low: [C], how far each channel goes below 0.
        high: [C], how far above.
        top: largest level.

    Returns:
        The level at which the channels' steps are the closest to what each could have by itself; 0 where nothing is
        below 0.

    Example:
        >>> zero_level(np.array([1.0, 2.0]), np.array([3.0, 6.0]), 255)
        64
    """
    own = low + high
    if not low.any():
        return 0
    used = own > 0
    costs = [((needed_ranges(low, high, zero, top)[used] / own[used]) ** 2).mean() for zero in range(1, top)]
    return 1 + int(np.argmin(costs))


def needed_ranges(low: NDArray[np.float64], high: NDArray[np.float64], zero: int, top: int) -> NDArray[np.float64]:
    """[C], the range of ``top`` steps that each channel needs to reach both of its ends from the level ``zero``."""
    below = low / zero if zero else np.zeros_like(low)
    return np.asarray(np.maximum(high / (top - zero), below) * top)


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


def sums_kept(weight: Tensor, step: Tensor) -> Tensor:
    """Weights rounded so that the sum over each kernel is right, not each weight by itself.

    What lies around a pixel is nearly what it is: errors that add up over a kernel are an error of the surface, the
    others are noise. It is worth 0.4 dB in networks that carry the picture itself through their layers (FSRCNN).

    Args:
        weight: [out, in, k, k].
        step: [out].

    Returns:
        Whole multiples of ``step``, each less than one of them away from its weight.

    Example:
        >>> kernel = torch.tensor([0.4, 0.4, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).view(1, 1, 3, 3)
        >>> sums_kept(kernel, torch.ones(1)).sum().item()
        1.0
    """
    wide = step[:, None, None, None]
    levels = weight / wide
    lower = levels.floor()
    missing = (levels - lower).sum((2, 3)).round()
    rank = (levels - lower).flatten(2).argsort(dim=2, descending=True, stable=True).argsort(2).view_as(levels)
    return (lower + (rank < missing[..., None, None])) * wide


def tail_units(weight: Tensor, importance: Tensor, taps: Taps, colours: int) -> NDArray[np.int64]:
    """For each output of the last layer, how many units of its accumulator are one level of the picture.

    Multiples of the anchor's denominator, with which it is exact; where the weights need a coarser unit, its halves.

    Args:
        weight: [out, in, k, k] of the last layer, levels of the picture per level of the input.
        importance: [in], as in :func:`weight_steps`.
        taps: the anchor's.
        colours: of the picture.

    Returns:
        int64 [out].
    """
    exact = _denominator(taps)
    finest = [_finest(place) for row in taps for place in row for _ in range(colours)]
    halves = [exact >> by for by in range(1, exact.bit_length()) if exact >> by >= _COARSEST]
    tried = [*range(exact, max(*finest, exact) + 1, exact), *halves]
    errors = torch.stack([_error(weight, torch.full((len(weight),), 1 / n), 8, "lsq", importance) for n in tried])
    too_large = (weight.abs().flatten(1).amax(1) * exact > _LARGEST).tolist()
    allowed = [[n <= max(f, exact) if n >= exact else t for f, t in zip(finest, too_large, strict=True)] for n in tried]
    best = errors.masked_fill(~torch.tensor(allowed), torch.inf).argmin(0)
    units: NDArray[np.int64] = np.array(tried, np.int64)[best.numpy()]
    return units


def integer_anchor(units: NDArray[np.int64], taps: Taps, colours: int) -> NDArray[np.int32]:
    """The anchor in units of the last accumulator; an even surface stays exactly what it is.

    Args:
        units: [out], from :func:`tail_units`.
        taps: the anchor's.
        colours: of the picture.

    Returns:
        int32 [out, 3, 3]; each output's taps sum up to its units.

    Example:
        >>> integer_anchor(np.array([16] * 4), bilinear_fractions(2), 1)[0]
        array([[1, 3, 0],
               [3, 9, 0],
               [0, 0, 0]], dtype=int32)
    """
    anchor = np.zeros((len(units), 3, 3), np.int32)
    for output, unit in enumerate(units.tolist()):
        row, column = divmod(output // colours, len(taps))
        exact = [share * unit for share in taps[row][column]]
        whole = [int(value) for value in exact]
        missing = unit - sum(whole)
        for place in sorted(range(9), key=lambda p: whole[p] - exact[p])[:missing]:  # largest remainders first
            whole[place] += 1
        anchor[output] = np.array(whole).reshape(3, 3)
    return anchor


def bilinear_fractions(scale: int) -> Taps:
    """For each row and column in a block, the exact weights of the nine LR pixels around it."""
    across = []
    for place in range(scale):
        offset = Fraction(2 * place + 1 - scale, 2 * scale)  # of the pixel's centre from the LR pixel's
        across.append([max(-offset, Fraction(0)), 1 - abs(offset), max(offset, Fraction(0))])
    return [[[r * c for r in row for c in column] for column in across] for row in across]


def nearest_fractions(scale: int) -> Taps:
    """Likewise of a picture whose pixels are repeated."""
    return [[[Fraction(int(place == 4)) for place in range(9)] for _ in range(scale)] for _ in range(scale)]


ENLARGEMENTS: dict[str, Callable[[int], Taps]] = {"bilinear": bilinear_fractions, "nearest": nearest_fractions}


def _denominator(taps: Taps) -> int:
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
