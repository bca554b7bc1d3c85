"""What has a part in every step of a training beside the optimisers: pruning, thinning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from sharpline.lab.compression.pruning import Pruner
from sharpline.lab.compression.thinning import Thinner
from sharpline.lab.networks import Network
from sharpline.lab.training.recipe import Recipe


class Companion(Protocol):
    """Is asked before and after every step of the optimisers."""

    def before_step(self) -> None:
        """Between the backward pass and the step."""

    def after_step(self, step: int) -> None:
        """After the step; ``step`` are done. With 0 before the first one."""

    def settled(self, step: int) -> bool:
        """Whether the network is what it is to be: before that, no checkpoint is the best."""

    def state(self) -> dict[str, Tensor]:
        """What has to be saved to go on exactly."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""


def companions(recipe: Recipe, net: Network, mean: Network | None = None, per_epoch: int = 1) -> list[Companion]:
    """The companions that a recipe asks for.

    Args:
        recipe: the recipe.
        net: the network.
        mean: its running mean.
        per_epoch: steps of an epoch.

    Raises:
        UsageError: layers that do not exist, a schedule longer than the training.
    """
    found: list[Companion] = []
    if recipe.pruning is not None:
        found.append(Pruner(net, recipe.pruning, recipe.steps, mean=mean, per_epoch=per_epoch))
    if recipe.thinning is not None:
        found.append(Thinner(net, recipe.thinning, recipe.steps, mean=mean, per_epoch=per_epoch))
    return found
