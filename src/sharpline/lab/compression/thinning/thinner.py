"""Thinning while a network learns: channels are held at zero, more and more of them, to be removed in the end."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sharpline.errors import UsageError
from sharpline.lab.compression.companion import Companion
from sharpline.lab.compression.thinning.config import ThinningConfig
from sharpline.lab.compression.thinning.cutlist import CutList
from sharpline.lab.compression.thinning.planning import chosen, kept, shares_of
from sharpline.lab.compression.thinning.scores import WEIGHTS, contribution
from sharpline.lab.networks import Network

_TAYLOR = "contribution."


class Thinner(Companion):
    """Masks a network's channels on a schedule.

    Args:
        net: a plain network.
        config: what to cut.
        steps: of the whole training; 0 for none.
        mean: the running mean of the weights.
        per_epoch: steps of an epoch.

    Attributes:
        cuts: what is masked now: empty before the beginning, after the end what is to be removed.

    Raises:
        UsageError: as :func:`~sharpline.lab.compression.thinning.plan`, and a schedule longer than the training.

    Example:
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "espcn", "channels": 16, "inner": 8})
        >>> thinner = Thinner(net, ThinningConfig(layers={"layers.0": 0.5}), steps=0)
        >>> thinner.after_step(0)
        >>> thinner.cuts.widths
        {'layers.0': [1, 8], 'layers.1': [8, 8]}
    """

    def __init__(
        self, net: Network, config: ThinningConfig, steps: int, *, mean: Network | None = None, per_epoch: int = 1
    ) -> None:
        super().__init__(net, config.schedule.in_steps(steps, per_epoch), mean)
        if config.criterion == "taylor" and self._schedule.begin == 0:
            raise UsageError("thinning.schedule.begin: taylor needs the gradients of some steps; begin later than at 0")
        self._net, self._config, self._shares = net, config, shares_of(net, config)
        device = next(net.parameters()).device
        self._felt = [torch.zeros(len(bundle), device=device) for bundle, _ in self._shares]
        self.cuts = CutList({})

    @torch.no_grad()
    def before_step(self) -> None:
        """Also adds up what the loss feels of each channel."""
        super().before_step()
        if self._config.criterion == "taylor":
            gradients = {name: p.grad for name, p in self._net.named_parameters() if p.grad is not None}
            for total, (bundle, _) in zip(self._felt, self._shares, strict=True):
                total += contribution(self._net, bundle, gradients).nan_to_num(0, 0, 0)  # fp16 may overflow

    def choose(self, step: int) -> dict[str, Tensor]:
        """The weights of the channels that go."""
        parts, counts = [bundle for bundle, _ in self._shares], []
        for bundle, share in self._shares:
            last = kept(len(bundle), share, self._config.multiple)  # on the way no more go than in the end
            counts.append(max(last, kept(len(bundle), self._schedule.amount(step, share), 1)))
        felt = self._config.criterion == "taylor"
        scores = self._felt if felt else [WEIGHTS[self._config.criterion](self._net, part) for part in parts]
        self.cuts = chosen(self._net, parts, scores, counts)
        self._felt = [torch.zeros_like(total) for total in self._felt]
        return self.cuts.zero(self._net)

    def state(self) -> dict[str, Tensor]:
        """The masks, and what was felt."""
        return {**super().state(), **{f"{_TAYLOR}{i}": total for i, total in enumerate(self._felt)}}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        super().restore({name: value for name, value in state.items() if not name.startswith(_TAYLOR)})
        self._felt = [state[f"{_TAYLOR}{i}"].to(total) for i, total in enumerate(self._felt)]
