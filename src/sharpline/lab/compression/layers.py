"""Which layers of a network a recipe means: names as users see them, patterns, the first match wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TypeVar

from torch import nn

from sharpline.errors import UsageError
from sharpline.lab.networks import Network
from sharpline.lab.networks.edge import CollapsibleConv

Choice = TypeVar("Choice")


def kernels(net: Network) -> dict[str, nn.Parameter]:
    """The kernels of a network by the names of their layers, in the order of the network.

    Raises:
        UsageError: a layer's kernel is a sum of branches; compression needs :meth:`Network.plain`.

    Example:
        >>> from sharpline.lab.networks import build
        >>> list(kernels(build({"family": "edge", "channels": 4, "depth": 1, "plain": True})))
        ['head', 'body.0', 'tail']
    """
    found = {}
    for name, layer in net.named_modules():
        if isinstance(layer, CollapsibleConv) and not layer.is_plain:
            raise UsageError(f"{name} is a sum of branches: compression works on the plain network ('plain: true')")
        kernel = getattr(layer, "weight", None)
        if isinstance(kernel, nn.Parameter) and kernel.ndim >= 2:
            found[name] = kernel
    return found


def choose(patterns: Mapping[str, Choice], layers: Sequence[str], key: str = "layers") -> dict[str, Choice]:
    """What each layer gets of the patterns, in which ``*`` stands for anything; layers that match none get nothing.

    Args:
        patterns: pattern of names -> choice; the first that matches a layer decides.
        layers: the names there are.
        key: the patterns' place in the settings, for error messages.

    Raises:
        UsageError: a pattern that matches no layer, with the nearest name.

    Example:
        >>> choose({"body.0": 0.5, "body.*": 0.8}, ["head", "body.0", "body.1"])
        {'body.0': 0.5, 'body.1': 0.8}
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in layers):
            near = get_close_matches(pattern, layers, n=1, cutoff=0.0)
            raise UsageError(f"{key}: {pattern!r} is no layer of the network; the nearest is {''.join(near)!r}")
    chosen = {}
    for name in layers:
        matching = [pattern for pattern in patterns if fnmatchcase(name, pattern)]
        if matching:
            chosen[name] = patterns[matching[0]]
    return chosen
