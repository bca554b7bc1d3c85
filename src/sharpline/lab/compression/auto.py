"""Choices that a recipe leaves to measurement: a share for each layer, made of one share for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sharpline.errors import UsageError
from sharpline.lab.compression.sensitivity import Point


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
