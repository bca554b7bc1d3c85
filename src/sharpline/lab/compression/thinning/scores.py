"""How much a group of channels matters, by the three criteria; the smallest scores go first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from sharpline.lab.compression.thinning.groups import Bundle
from sharpline.lab.networks import Network
from sharpline.lab.networks.widths import channels_of

GONE = float("-inf")  # the score of channels that are zero already


def magnitude(net: Network, bundle: Bundle) -> Tensor:
    """Sum of |w| over the filters that make each group of channels (Li et al. 2017), biases left out. float [groups].

    Example:
        >>> from sharpline.lab.compression.thinning.couplings import couplings
        >>> from sharpline.lab.compression.thinning.groups import bundles
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "espcn", "channels": 2, "inner": 1})
        >>> _ = nn.init.constant_(net.layers[0].weight[0], 0.5)
        >>> round(float(magnitude(net, bundles(couplings(net))[0])[0]), 3)  # 5 x 5 weights
        12.5
    """
    return _filters(net, bundle).abs().sum(1)


def distance(net: Network, bundle: Bundle) -> Tensor:
    """Sum of the distances of each group's filters to those of all others (He et al. 2019, equation 5)."""
    filters = _filters(net, bundle)
    return torch.cdist(filters, filters, compute_mode="donot_use_mm_for_euclid_dist").sum(1)


def contribution(net: Network, bundle: Bundle, gradients: Mapping[str, Tensor]) -> Tensor:
    """What the loss would change by without each group, squared, to first order (Molchanov et al. 2019, equation 8).

    Args:
        net: the network.
        bundle: of its channels.
        gradients: of the loss, by the names of parameters.
    """
    total = torch.zeros(len(bundle), device=next(net.parameters()).device)
    for layer, places in (*bundle.writes.items(), *bundle.follows.items()):
        module = net.get_submodule(layer)
        for name, parameter in module.named_parameters(recurse=False):
            if f"{layer}.{name}" in gradients:
                product = _rows(module, name, parameter.detach() * gradients[f"{layer}.{name}"]).sum(1)
                total += product[places.to(product.device)].sum(1).to(total)
    return total.square()


def average_contribution(
    net: Network, parts: Sequence[Bundle], batches: Sequence[tuple[Tensor, Tensor]]
) -> list[Tensor]:
    """Mean of :func:`contribution` to the L1 loss over some batches.

    Args:
        net: the network; run in evaluation mode.
        parts: the bundles.
        batches: (lr [N, C, H, W], hr [N, C, H*scale, W*scale]) in [0, 1], of the network's colour.

    Returns:
        For each bundle float [groups].
    """
    names, parameters = zip(*net.named_parameters(), strict=True)
    totals = [torch.zeros(len(part), device=parameters[0].device) for part in parts]
    learning = net.training
    net.eval()
    try:
        for lr, hr in batches:
            loss = (net(lr) - hr).abs().mean()
            found = torch.autograd.grad(loss, parameters, allow_unused=True)
            gradients = {name: g for name, g in zip(names, found, strict=True) if g is not None}
            for total, part in zip(totals, parts, strict=True):
                total += contribution(net, part, gradients) / len(batches)
    finally:
        net.train(learning)
    return totals


WEIGHTS: dict[str, Callable[[Network, Bundle], Tensor]] = {"l1": magnitude, "geometric-median": distance}


def gone_first(net: Network, bundle: Bundle, scores: Tensor) -> Tensor:
    """The scores, with those of groups that are zero already below all others."""
    return torch.where(magnitude(net, bundle) == 0, GONE, scores)


def _filters(net: Network, bundle: Bundle) -> Tensor:
    """[groups, weights]: all weights of the filters that make each group of channels."""
    parts = []
    for layer, places in bundle.writes.items():
        module = net.get_submodule(layer)
        weight = module.weight
        assert isinstance(weight, Tensor)
        parts.append(_rows(module, "weight", weight.detach())[places.to(weight.device)].flatten(1))
    return torch.cat(parts, 1)


def _rows(layer: nn.Module, name: str, tensor: Tensor) -> Tensor:
    """A tensor of a layer as [output channels, the rest]."""
    channels = channels_of(layer)
    assert channels is not None
    return tensor.movedim(channels.axes[name].index("out"), 0).reshape(channels.outputs, -1)
