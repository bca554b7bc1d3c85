"""Pruning while a network learns."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sharpline.lab.compression.layers import choose, kernels
from sharpline.lab.compression.masks import Masks
from sharpline.lab.compression.pruning.config import PruningConfig
from sharpline.lab.compression.pruning.criteria import pruned
from sharpline.lab.networks import Network


class Pruner:
    """Prunes a network on its schedule, and keeps pruned weights at zero in between.

    Several processes choose alike without a word, since their weights are alike.

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
        self._kernels = kernels(net)
        self._targets = choose(config.layers, list(self._kernels), "pruning.layers")
        self._config, self._schedule = config, config.schedule.in_steps(steps, per_epoch)
        self._masks = Masks(net, [] if mean is None else [mean])

    def before_step(self) -> None:
        """To be called between the backward pass and the optimisers' step."""
        self._masks.hold_gradients()

    def after_step(self, step: int) -> None:
        """To be called after each step of the optimisers, and with 0 before the first one.

        Args:
            step: steps done.
        """
        if not self._schedule.is_due(step):
            self._masks.hold()
            return
        zero = {}
        for layer, target in self._targets.items():
            amount = self._schedule.amount(step, target)
            choice = pruned(self._kernels[layer], self._config.criterion, amount, layer=layer, seed=self._config.seed)
            zero[f"{layer}.weight"] = choice
        self._masks.replace(zero)

    def settled(self, step: int) -> bool:
        """Whether the network is as sparse as it will be: before that, no checkpoint is the best."""
        return step >= self._schedule.last

    def state(self) -> dict[str, Tensor]:
        """What has to be saved to go on exactly."""
        return self._masks.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._masks.restore(state)
