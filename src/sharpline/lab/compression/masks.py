"""Weights that are held at zero while a network learns on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sharpline.lab.networks import Network


class Masks:
    """Holds weights of one network, or of several with the same names, at zero.

    They are exactly zero after each step whatever the optimiser did, momentum and all; gradients are held at zero
    too, so that neither clipping nor Muon, which looks at whole matrices, counts what has no part any more.

    Args:
        net: the network that learns.
        followers: others with the same parameters, such as its running mean.

    Example:
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "edge", "channels": 4, "depth": 1, "plain": True})
        >>> masks = Masks(net)
        >>> masks.replace({"head.weight": net.head.weight < 0})
        >>> bool((net.head.weight >= 0).all())
        True
    """

    def __init__(self, net: Network, followers: Sequence[Network] = ()) -> None:
        self.net, self._all = net, (net, *followers)
        self._zero: dict[str, Tensor] = {}

    def replace(self, zero: Mapping[str, Tensor]) -> None:
        """Take other masks, True where a weight is zero, by the names of parameters; and apply them."""
        self._zero = dict(zero)
        self.hold()

    @torch.no_grad()
    def hold(self) -> None:
        """Set the weights to zero: after every step."""
        for net in self._all:
            parameters = dict(net.named_parameters())
            for name, zero in self._zero.items():
                parameters[name].masked_fill_(zero, 0)

    @torch.no_grad()
    def hold_gradients(self) -> None:
        """Set their gradients to zero: between the backward pass and the step."""
        for name, parameter in self.net.named_parameters():
            if name in self._zero and parameter.grad is not None:
                parameter.grad.masked_fill_(self._zero[name], 0)

    def state(self) -> dict[str, Tensor]:
        """The masks, to be saved."""
        return dict(self._zero)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take masks that were saved; the weights are known to be zero."""
        device = next(self.net.parameters()).device
        self._zero = {name: zero.to(device) for name, zero in state.items()}
