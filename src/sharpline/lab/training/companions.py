"""The companions that a recipe asks for: pruning, thinning."""

from __future__ import annotations

from sharpline.lab.compression.companion import Companion
from sharpline.lab.compression.pruning import Pruner
from sharpline.lab.compression.thinning import Thinner
from sharpline.lab.networks import Network
from sharpline.lab.training.recipe import Recipe


def companions(recipe: Recipe, net: Network, mean: Network | None = None, per_epoch: int = 1) -> list[Companion]:
    """What has a part in every step of a training beside the optimisers.

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
