"""Choices that a recipe leaves to measurement: what each layer gives, of what all may lose together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sharpline.errors import UsageError
from sharpline.lab.compression.sensitivity import Point
from sharpline.lab.networks.fake_quant import Bits

_BITS: dict[float, Bits] = {1: 1, 2: 2, 4: 4}


def shares_for(points: Sequence[Point], weights: Mapping[str, int], total: float) -> dict[str, float]:
    """Distribute a sparsity over layers, so that the dB lost one by one add up to the least.

    Greedy on the measured curves: the next piece goes where a weight costs least; the last one is taken in part.

    Args:
        points: of kind ``sparsity``.
        weights: number of weights of each layer.
        total: share of all weights that are to be zero.

    Returns:
        The share of each layer.

    Raises:
        UsageError: more than the measured curves can give.

    Example:
        >>> points = [Point("a", "sparsity", 0.5, 0.1, 0, 0), Point("b", "sparsity", 0.5, 0.4, 0, 0)]
        >>> shares_for(points, {"a": 100, "b": 100}, 0.375)
        {'a': 0.5, 'b': 0.25}
    """
    curves = {
        layer: [(0.0, 0.0), *sorted((p.amount, p.drop) for p in points if (p.layer, p.kind) == (layer, "sparsity"))]
        for layer in weights
    }
    most = sum(curves[layer][-1][0] * count for layer, count in weights.items())
    left = total * sum(weights.values())
    if left > most:
        raise UsageError(
            f"a sparsity of {total:g} is more than the {most / sum(weights.values()):.3f} that was measured"
        )
    place = dict.fromkeys(weights, 0)
    shares = dict.fromkeys(weights, 0.0)

    def price(layer: str) -> float:
        (share, drop), (following, more) = curves[layer][place[layer] : place[layer] + 2]
        return max(more - drop, 0.0) / ((following - share) * weights[layer])

    while left > 0.5:
        layer = min((name for name in weights if place[name] + 1 < len(curves[name])), key=price)
        share, following = (curves[layer][place[layer] + i][0] for i in (0, 1))
        piece = min((following - share) * weights[layer], left)
        shares[layer] = round(share + piece / weights[layer], 4)
        place[layer] += 1
        left -= piece
    return shares


def bits_for(
    points: Sequence[Point], tolerance: float, loses: Callable[[dict[str, Bits]], float]
) -> tuple[dict[str, Bits], float]:
    """Give layers fewer bits, so that the network loses no more than it may.

    Greedy on what was measured layer by layer: the next one is where a bit that is saved costs least, while the dB add
    up to the tolerance. What all lose together is measured in the end, and the last choices are taken back until it
    is within the tolerance.

    Args:
        points: of kind ``bits``.
        tolerance: dB that may be lost.
        loses: what the network loses with the bits that layers are given, all others with 8.

    Returns:
        The bits of the layers that have fewer than 8, and the dB that they lose together.

    Example:
        >>> points = [Point("a", "bits", 4, 0.02, 0, 400), Point("b", "bits", 4, 0.30, 0, 400)]
        >>> bits_for(points, 0.1, lambda bits: 0.02 * len(bits))
        ({'a': 4}, 0.02)
    """
    left = list(points)
    chosen: list[dict[str, Point]] = [{}]
    while True:
        now = chosen[-1]
        spent = sum(max(point.drop, 0) for point in now.values())
        before = {point: now.get(point.layer) for point in left}
        costs = {p: max(p.drop, 0) - (max(old.drop, 0) if old else 0) for p, old in before.items()}
        saves = {p: p.bits_saved - (old.bits_saved if old else 0) for p, old in before.items()}
        left = [p for p in left if saves[p] > 0 and spent + costs[p] <= tolerance]
        if not left:
            break
        best = min(left, key=lambda p: (costs[p] / saves[p], -saves[p]))
        chosen.append({**now, best.layer: best})
    while True:
        bits: dict[str, Bits] = {layer: _BITS[point.amount] for layer, point in chosen.pop().items()}
        lost = loses(bits) if bits else 0.0
        if lost <= tolerance:
            return bits, lost
