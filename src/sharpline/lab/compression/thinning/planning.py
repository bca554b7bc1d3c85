"""From settings to a cut list: how many channels of each bundle go, and which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from sharpline.errors import UsageError
from sharpline.lab.compression.layers import choose
from sharpline.lab.compression.thinning.config import ThinningConfig
from sharpline.lab.compression.thinning.couplings import couplings
from sharpline.lab.compression.thinning.cutlist import CutList, cutlist
from sharpline.lab.compression.thinning.groups import Bundle, bundles
from sharpline.lab.compression.thinning.scores import WEIGHTS, average_contribution, gone_first, magnitude
from sharpline.lab.networks import Network


def plan(net: Network, config: ThinningConfig, batches: Iterable[tuple[Tensor, Tensor]] | None = None) -> CutList:
    """Choose the channels that go, at once; nothing is done to the network.

    Args:
        net: a plain network (:meth:`Network.plain`).
        config: what to cut; its schedule is not looked at.
        batches: for ``taylor``: a few (lr [N, C, H, W], hr [N, C, H*scale, W*scale]) in [0, 1].

    Returns:
        The cuts; print them.

    Raises:
        UsageError: layers that do not exist or have to keep their channels, a multiple that is larger than a layer,
            no pictures for ``taylor``, an operation of the network that is not known.

    Example:
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "espcn", "channels": 16, "inner": 8})
        >>> print(plan(net, ThinningConfig(layers={"layers.0": 0.5})))
        layer     inputs   outputs  coupled with
        layers.0  1        16 -> 8
        layers.1  16 -> 8  8        layers.0
    """
    shares = shares_of(net, config)
    parts = [bundle for bundle, _ in shares]
    if config.criterion == "taylor":
        few = list(batches or ())
        if not few:
            raise UsageError("thinning.criterion: taylor needs some batches of pictures")
        scores = average_contribution(net, parts, few)
    else:
        scores = [WEIGHTS[config.criterion](net, part) for part in parts]
    counts = [kept(len(bundle), share, config.multiple) for bundle, share in shares]
    return chosen(net, parts, scores, counts)


def idle(net: Network) -> CutList:
    """The channels that are zero already, made by nothing and read by nothing: what soft thinning has left."""
    removed = []
    for bundle in bundles(couplings(net)):
        removed.append((bundle, (magnitude(net, bundle) == 0).nonzero().flatten().cpu()))
    return cutlist(net, removed)


def shares_of(net: Network, config: ThinningConfig) -> list[tuple[Bundle, float]]:
    """The bundles that lose channels, and the share of each: that of its layer that loses least.

    Raises:
        UsageError: as :func:`plan`.
    """
    coupled = couplings(net)
    layers = [c.layer for c in coupled if not c.channels.elementwise]
    wanted = choose(config.layers, layers, "thinning.layers")
    found = bundles(coupled)
    free = {layer for bundle in found for layer in bundle.writes}
    for pattern, share in config.layers.items():
        if share > 0 and free.isdisjoint(choose({pattern: share}, layers)):
            raise UsageError(f"thinning.layers: {pattern!r} has only channels of the picture, which have to stay")
    shares = []
    for bundle in found:
        share = min(wanted.get(layer, 0.0) for layer in bundle.writes)
        if share > 0:
            if config.multiple > len(bundle):
                layer = next(iter(bundle.writes))
                raise UsageError(
                    f"thinning.multiple: {config.multiple} is larger than the {len(bundle)} channels of {layer}; "
                    f"choose a smaller one, or give {layer} a share of 0"
                )
            shares.append((bundle, share))
    return shares


def kept(channels: int, share: float, multiple: int) -> int:
    """How many channels stay: the nearest multiple, at least one of it, at most all.

    Example:
        >>> kept(64, 0.3, 16), kept(12, 0.5, 8), kept(64, 0.99, 1)
        (48, 8, 1)
    """
    return min(channels, max(1, int(channels * (1 - share) / multiple + 0.5)) * multiple)


def chosen(net: Network, parts: Sequence[Bundle], scores: Sequence[Tensor], counts: Sequence[int]) -> CutList:
    """The cut list that leaves ``counts`` groups of each bundle, those of the highest scores."""
    removed = []
    for part, score, count in zip(parts, scores, counts, strict=True):
        order = gone_first(net, part, score).argsort(stable=True)
        removed.append((part, torch.sort(order[: len(part) - count]).values.cpu()))
    return cutlist(net, removed)
