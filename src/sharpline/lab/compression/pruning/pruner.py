"""Pruning while a network learns."""

from __future__ import annotations

from torch import Tensor

from sharpline.lab.compression.companion import Companion
from sharpline.lab.compression.layers import choose, kernels
from sharpline.lab.compression.pruning.config import PruningConfig
from sharpline.lab.compression.pruning.criteria import pruned
from sharpline.lab.networks import Network


class Pruner(Companion):
    """Prunes a network on its schedule, and keeps pruned weights at zero in between.

    Args:
        net: a plain network (:meth:`Network.plain`).
        config: what to prune.
        steps: of the whole training; 0 for one-shot pruning without any.
        mean: the running mean of its weights, which is pruned with it.
        per_epoch: steps of an epoch.

    Raises:
        UsageError: layers that do not exist, a schedule that is longer than the training.

    Example:
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "edge", "channels": 8, "depth": 1, "plain": True})
        >>> Pruner(net, PruningConfig(layers={"body.*": 0.75}), steps=0).after_step(0)
        >>> int((net.body[0].weight == 0).sum()), net.body[0].weight.numel()
        (432, 576)
    """

    def __init__(
        self, net: Network, config: PruningConfig, steps: int, *, mean: Network | None = None, per_epoch: int = 1
    ) -> None:
        super().__init__(net, config.schedule.in_steps(steps, per_epoch), mean)
        self._kernels, self._config = kernels(net), config
        self._targets = choose(config.layers, list(self._kernels), "pruning.layers")

    def choose(self, step: int) -> dict[str, Tensor]:
        """The weights that go."""
        zero = {}
        for layer, target in self._targets.items():
            amount = self._schedule.amount(step, target)
            choice = pruned(self._kernels[layer], self._config.criterion, amount, layer=layer, seed=self._config.seed)
            zero[f"{layer}.weight"] = choice
        return zero
