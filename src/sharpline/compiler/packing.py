"""Weights in the order in which a kernel reads them.

A convolution is a list of *steps*: four neighbouring input channels at one place of the kernel, for all outputs that
are in registers at a time (a *block*). Steps whose weights are all zero are left out.

Processors without dot products in 32 bits add products in 16 bits, where an addition is twice as cheap, and widen the
sums from time to time. How often is decided here, where the weights are known: steps are put into *groups* such that
no group's sum leaves 16 bits for any picture. All steps of a layer are free to be in any group, since sums of
integers do not depend on their order. A group may use the 65,536 values of 16 bits wherever its own range lies: its
sums begin at an offset, which the bias takes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sharpline.compiler.targets import Target
from sharpline.runtime.integer import IntegerLayer

Ints = NDArray[np.int64]
_QUAD = 4  # channels a step
_LARGEST = 127  # of a weight
_SPAN = 2**16 - 1


@dataclass(frozen=True)
class Part:
    """The steps of a block over one source.

    Attributes:
        places: int64 [steps, 2]: row of the kernel from 0, offset in bytes from the pixel in the middle.
        weights: int64 [steps, outputs, 4].
        lengths: steps of each group; as many as there are groups.
        starts: int64 [groups, outputs, sums]: where a group's sums begin.
    """

    places: Ints
    weights: Ints
    lengths: tuple[int, ...]
    starts: Ints


@dataclass(frozen=True)
class Block:
    """Outputs that are computed at a time.

    Attributes:
        first: output.
        vectors: of outputs.
        bias: int64 [outputs], with what the starts and flipped levels add taken out.
        multiplier: float32 [outputs].
        second: float32 [outputs], by which what is negative, or what tanh gives, is multiplied then.
        parts: over the features and over the picture (the anchor; perhaps without steps).
    """

    first: int
    vectors: int
    bias: Ints
    multiplier: NDArray[np.float32]
    second: NDArray[np.float32]
    parts: tuple[Part, Part]


def stride_of(channels: int) -> int:
    """Bytes of a pixel of so many channels.

    Example:
        >>> stride_of(3), stride_of(48)
        (4, 48)
    """
    return -(-channels // _QUAD) * _QUAD


def pack(
    layer: IntegerLayer, anchor: NDArray[np.int32] | None, colours: int, target: Target, most: int, zero: int = 0
) -> list[Block]:
    """Pack a layer.

    Args:
        layer: the layer.
        anchor: int32 [outputs, 3, 3] of the last layer, or None.
        colours: of the picture.
        target: the processor.
        most: vectors a block.
        zero: the level that stands for 0 in what comes in: taken out of the bias, so that sums are of levels.

    Returns:
        The blocks, the last outputs first: a block may write beyond its outputs into those before it.
    """
    outputs = len(layer.bias)
    vectors = -(-outputs // target.lanes)
    count = -(-vectors // most)
    sizes = [len(part) * target.lanes for part in np.array_split(np.arange(vectors), count)]
    padding = vectors * target.lanes - outputs
    weight = np.pad(layer.weight.astype(np.int64), ((0, padding), (0, 0), (0, 0), (0, 0)))
    taps = np.pad(_spread(anchor, colours), ((0, padding), (0, 0), (0, 0), (0, 0))) if anchor is not None else None
    bias = np.pad(layer.bias.astype(np.int64), (0, padding)) - zero * weight.sum((1, 2, 3))
    given = (values for values in (layer.slope, layer.spread, np.ones(outputs, np.float32)) if values is not None)
    multiplier, second = (np.pad(values, (0, padding)) for values in (layer.multiplier, next(given)))
    blocks, first = [], 0
    for size in sizes:
        own = slice(first, first + size)
        features = _part(_steps(weight[own]), target, size)
        picture = _part(_steps(taps[own]) if taps is not None else (), target, size)
        blocks.append(Block(first, size // target.lanes, bias[own], multiplier[own], second[own], (features, picture)))
        first += size
    return [_compensated(block, target) for block in reversed(blocks)]


def _spread(anchor: NDArray[np.int32], colours: int) -> Ints:
    """The anchor as weights over the picture: int64 [outputs, colours, 3, 3]."""
    own = np.arange(len(anchor)) % colours == np.arange(colours)[:, None]
    return np.asarray(np.einsum("co,oij->ocij", own, anchor.astype(np.int64)), np.int64)


Step = tuple[int, int, Ints]


def _steps(weight: Ints) -> Iterator[Step]:
    """Row, offset and weights [outputs, 4] of each step of [outputs, inputs, k, k]; large weights in several steps."""
    stride, side = stride_of(weight.shape[1]), weight.shape[2]
    padded = np.pad(weight, ((0, 0), (0, stride - weight.shape[1]), (0, 0), (0, 0)))
    for row in range(side):
        for column in range(side):
            for channel in range(0, stride, _QUAD):
                whole = padded[:, channel : channel + _QUAD, row, column]
                shares = -(-int(np.abs(whole).max(initial=0)) // _LARGEST)
                for share in range(shares):
                    yield row, (column - side // 2) * stride + channel, (whole + share) // shares


def _part(steps: Iterable[Step], target: Target, outputs: int) -> Part:
    found = [safe for step in steps for safe in _pair_safe(step, target)]
    groups = _groups([weights for _, _, weights in found], target)
    ordered = [found[index] for group in groups for index in group]
    places = np.array([step[:2] for step in ordered], np.int64).reshape(-1, 2)
    weights = np.array([step[2] for step in ordered], np.int64).reshape(-1, outputs, _QUAD)
    lengths = tuple(map(len, groups))
    ends = np.cumsum(lengths, dtype=np.int64)
    starts = [_start(weights[end - length : end], target) for length, end in zip(lengths, ends, strict=True)]
    shape = (len(lengths), outputs, target.sums)
    return Part(places, weights, lengths, np.array(starts, np.int64).reshape(shape))


def _pair_safe(step: Step, target: Target) -> Iterator[Step]:
    """The step; in two where the sum of two products could saturate (``docs/integer.md``, Pairs)."""
    row, offset, weights = step
    low, high = _range(weights[None], target)
    if target.sums == 2 and (low.min() < -(2**15) or high.max() >= 2**15):
        for kept in ([1, 0, 1, 0], [0, 1, 0, 1]):
            yield row, offset, weights * kept
    else:
        yield step


def _groups(steps: list[Ints], target: Target) -> list[list[int]]:
    """Few groups of which no sum can take more than 16 bits' values; one group where sums have 32 bits.

    Packing vectors into few bins is hard; this fills one group at a time with the step that leaves the least room, by
    squares, where the remaining steps need much (norm-based greedy: Panigrahy et al. 2011, Heuristics for Vector Bin
    Packing). In edge-m it needs 3 % fewer groups than first fit of the heaviest; 9 to 14 % fewer is out of all reach.
    """
    left, groups = list(range(len(steps))), []
    if not target.sums:
        return [left] if left else []
    loads = np.array([np.abs(weights).reshape(len(weights), target.sums, -1).sum(2).ravel() for weights in steps])
    room = _SPAN // (target.levels[1] - target.levels[0])
    while left:
        group, filled, need = [], np.zeros(loads.shape[1]), loads[left].mean(0)
        while left:
            after = filled + loads[left]
            fitting = (after <= room).all(1)
            if not fitting.any():
                break
            best = int(np.argmin(np.where(fitting, ((room - after) ** 2) @ need, np.inf)))
            group.append(left.pop(best))
            filled = after[best]
        groups.append(sorted(group))
    return groups


def _range(weights: Ints, target: Target) -> tuple[Ints, Ints]:
    """Smallest and largest value of each 16-bit sum of a group [steps, outputs, 4]: two of [outputs, sums]."""
    low, high = target.levels
    each = weights.reshape(*weights.shape[:2], max(target.sums, 1), -1)
    positive, negative = np.maximum(each, 0).sum((0, 3)), np.minimum(each, 0).sum((0, 3))
    return positive * low + negative * high, positive * high + negative * low


def _start(weights: Ints, target: Target) -> Ints:
    if not target.sums:
        return np.zeros((weights.shape[1], 0), np.int64)
    low, high = _range(weights, target)
    start = np.clip(0, -(2**15) - low, 2**15 - 1 - high)
    return np.asarray(start, np.int64)


def _compensated(block: Block, target: Target) -> Block:
    bias = block.bias
    for part in block.parts:
        bias = bias - part.starts.sum((0, 2))
        if target.flip:
            bias = bias + 128 * part.weights.sum((0, 2))
    return replace(block, bias=bias)
