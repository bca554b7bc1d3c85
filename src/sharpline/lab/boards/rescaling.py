"""Networks whose weights serve every scale, opened at another one than they were saved at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sharpline.errors import UsageError
from sharpline.lab.networks import Network, build
from sharpline.lab.training.checkpoint import load_network


def load_at_scale(checkpoint: Path, scale: int | None) -> tuple[Network, dict[str, Any]]:
    """Rebuild the network of a checkpoint, at another scale where its weights allow it (VDSR's do).

    Args:
        checkpoint: the file.
        scale: the scale that is wanted; None takes the checkpoint's own.

    Returns:
        The network in evaluation mode and the checkpoint's description.

    Raises:
        ModelError: not a checkpoint.
        UsageError: the weights belong to another scale.
    """
    net, about = load_network(checkpoint)
    if scale is None or scale == net.config.scale:
        return net, about
    other = at_scale(net, scale)
    if other is None:
        raise UsageError(f"{checkpoint}: this {net.config.family} enlarges {net.config.scale} times, not {scale}")
    return other, about


def at_scale(net: Network, scale: int) -> Network | None:
    """The network with the same weights at another scale; None where a layer depends on the scale.

    Example:
        >>> at_scale(build({"family": "vdsr", "channels": 4, "depth": 2, "scale": 4}), 3).config.scale
        3
        >>> at_scale(build({"family": "fsrcnn", "scale": 4}), 3) is None  # equal weights, another stride
        True
    """
    try:
        other = build({**net.config.model_dump(), "scale": scale})
    except UsageError:  # the family does not know this scale
        return None
    if _layers(other) != _layers(net):
        return None
    with torch.no_grad():
        other.load_state_dict(net.state_dict())
    return other.train(net.training)


def _layers(net: Network) -> tuple[dict[str, torch.Size], dict[str, str]]:
    """The shapes of all weights, and what the layers that hold them say of themselves: kernel, stride, padding."""
    layers = {name: repr(module) for name, module in net.named_modules() if not any(module.children())}
    return {name: value.shape for name, value in net.state_dict().items()}, layers
