"""What has a part in every step of a training beside the optimisers: it holds weights at zero, by a schedule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor

from sharpline.lab.compression.masks import Masks
from sharpline.lab.compression.schedule import Schedule
from sharpline.lab.networks import Network


class Companion(ABC):
    """Is asked before and after every step of the optimisers.

    Several processes choose alike without a word, since their weights are alike.

    Args:
        net: the network that learns.
        schedule: in steps; when other masks are chosen. In between those there are hold.
        mean: the running mean of its weights, which is masked with it.
    """

    def __init__(self, net: Network, schedule: Schedule, mean: Network | None) -> None:
        self._schedule = schedule
        self._masks = Masks(net, [] if mean is None else [mean])

    @abstractmethod
    def choose(self, step: int) -> Mapping[str, Tensor]:
        """Masks of what is zero after a step that a change is due at, by the names of parameters."""

    def before_step(self) -> None:
        """To be called between the backward pass and the optimisers' step."""
        self._masks.hold_gradients()

    def after_step(self, step: int) -> None:
        """To be called after each step of the optimisers, and with 0 before the first one.

        Args:
            step: steps done.
        """
        if self._schedule.is_due(step):
            self._masks.replace(self.choose(step))
        else:
            self._masks.hold()

    def settled(self, step: int) -> bool:
        """Whether all is masked that will be: before that, no checkpoint is the best."""
        return step >= self._schedule.last

    def state(self) -> dict[str, Tensor]:
        """What has to be saved to go on exactly."""
        return self._masks.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        self._masks.restore(state)
