"""What may shape a network while it learns, beside its gradients: masks that grow, channels held at zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor

from sharpline.lab.networks import Network


class Shaper(Protocol):
    """Called by the loop around every step, in every process alike."""

    def before_step(self) -> None:
        """Between the backward pass and the optimisers' step: gradients may be changed."""

    def after_step(self, step: int) -> None:
        """After ``step`` steps, and with 0 before the first one: weights, and their running mean, may be changed."""

    def settled(self, step: int) -> bool:
        """Whether the network has its last form: before that, no checkpoint is the best."""

    def state(self) -> dict[str, Tensor]:
        """What has to be saved to go on exactly."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""


MakeShaper = Callable[[Network, Network, int], Shaper]  # of the network, its running mean, the steps of an epoch
