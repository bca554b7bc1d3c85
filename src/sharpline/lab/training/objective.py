"""What is minimised, as one module: so that every wrapper (several processes, autocast) sees one forward."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.data.patches import Batch
from sharpline.lab.networks import Network
from sharpline.lab.networks.rescaling import at_scale
from sharpline.lab.training.losses import pixel_loss, to_luma
from sharpline.lab.training.recipe import Recipe
from sharpline.lab.training.transfer import Transfer


class Objective(nn.Module):
    """The recipe's loss over a network.

    Args:
        net: the network; its parameters are the module's.
        recipe: names the loss and its weights.
        transfer: what is learnt from inside of a teacher.
    """

    def __init__(self, net: Network, recipe: Recipe, transfer: Transfer | None = None) -> None:
        super().__init__()
        self.transfer = transfer
        self.net: Network = net
        scales = recipe.data.scales or [net.config.scale]
        self._views = {scale: at_scale(net, scale) for scale in scales}  # the weights of all are those of net
        self.kind, self.luma_weight, self.margin = recipe.loss, recipe.luma_weight, recipe.data.margin
        self.share = recipe.teacher.weight if recipe.teacher else 0.0

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar."""
        lr, hr, taught = batch.lr, batch.hr, batch.taught
        if self.net.config.colour == "y":
            lr, hr = to_luma(lr), to_luma(hr)
            taught = None if taught is None else to_luma(taught)
        levels = [sr.float() for sr in self._views[batch.scale].levels(lr)]
        if self.margin:
            levels, [hr] = self._inner(levels, lr), self._inner([hr], lr)
            taught = None if taught is None else self._inner([taught], lr)[0]
        loss = self._against(levels, hr)
        if taught is not None:
            loss = (1 - self.share) * loss + self.share * self._against(levels, taught)
        return loss if self.transfer is None else loss + self.transfer(lr)

    def _inner(self, pictures: Sequence[Tensor], lr: Tensor) -> list[Tensor]:
        """What lies farther from the patch's border than the margin."""
        cuts = [self.margin * picture.shape[-1] // lr.shape[-1] for picture in pictures]
        return [picture[..., cut:-cut, cut:-cut] for picture, cut in zip(pictures, cuts, strict=True)]

    def _against(self, levels: Sequence[Tensor], target: Tensor) -> Tensor:
        """Sum over the levels; lower ones are compared with the target shrunk by an antialiased bicubic."""
        losses = []
        for sr in levels:
            small = target
            if sr.shape[-2:] != target.shape[-2:]:
                small = F.interpolate(target, sr.shape[-2:], mode="bicubic", antialias=True)
            losses.append(pixel_loss(sr, small, self.kind, self.luma_weight))
        return sum(losses[1:], losses[0])
