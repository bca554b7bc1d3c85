"""Networks whose weights serve every scale, seen at another one than they were built for."""

from __future__ import annotations

import torch

from sharpline.errors import UsageError
from sharpline.lab.networks.registry import Network, build


def at_scale(net: Network, scale: int) -> Network:
    """The same layers, with the same weights, in a network of another scale (VDSR's serve several).

    Raises:
        UsageError: the family does not know the scale, or a layer depends on it.

    Example:
        >>> net = build({"family": "vdsr", "channels": 4, "depth": 2, "scale": 4})
        >>> twice = at_scale(net, 2)
        >>> twice.config.scale, twice.layers is net.layers
        (2, True)
    """
    if scale == net.config.scale:
        return net
    other = _other(net, scale)
    if other is None:
        known = [str(n) for n in range(1, 9) if n == net.config.scale or _other(net, n) is not None]
        words = " or ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)
        raise UsageError(f"this {net.config.family} enlarges {words} times, not {scale}")
    for name, layers in net.named_children():
        setattr(other, name, layers)
    return other.train(net.training)


def _other(net: Network, scale: int) -> Network | None:
    """A network of another scale that the weights fit; None where there is none."""
    try:
        other = build({**net.config.model_dump(), "scale": scale})
    except UsageError:
        return None
    return other if _layers(other) == _layers(net) else None


def _layers(net: Network) -> tuple[dict[str, torch.Size], dict[str, str]]:
    """The shapes of all weights, and what the layers that hold them say of themselves: kernel, stride, padding."""
    layers = {name: repr(module) for name, module in net.named_modules() if not any(module.children())}
    return {name: value.shape for name, value in net.state_dict().items()}, layers
