"""Finds which layers give channels away so that a budget is met at the least loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sharpline.errors import UsageError
from sharpline.lab.compression.layers import kernels
from sharpline.lab.compression.pairs import Pair
from sharpline.lab.compression.sensitivity import score
from sharpline.lab.compression.thinning import CutList, ThinningConfig, cut, masked, plan
from sharpline.lab.networks import Network

_LEAST = 1e-4  # dB: a change that costs nothing is still compared by what it saves
Tell = Callable[[dict[str, int], float], None]


def search(
    net: Network,
    pairs: Sequence[Pair],
    fits: Callable[[Network], bool],
    *,
    multiple: int = 8,
    tell: Tell = lambda widths, drop: None,
) -> tuple[Network, dict[str, float]]:
    """Take channels away, a few at a time, always where a saved multiply-accumulate costs the fewest dB.

    Greedy: after each choice all layers are measured anew on the network as it is then; nothing is trained. The
    network that is returned is the one to train on.

    Args:
        net: the network.
        pairs: LR and HR pictures, uint8 [H, W, C].
        fits: whether a network meets the budget (multiply-accumulates, bytes, or milliseconds on this machine).
        multiple: channels that go together; runtimes pay in such steps.
        tell: called after each choice with the channels of each layer and the dB lost so far.

    Returns:
        The thinned network, and the share of its channels that each layer lost, for
        :class:`~sharpline.lab.compression.thinning.ThinningConfig`.

    Raises:
        UsageError: the budget is not met when nothing is left that could go.
    """
    net = net.plain().eval()
    first = {layer: kernel.shape[0] for layer, kernel in kernels(net).items()}
    whole = score(net, pairs)
    while not fits(net):
        options = [(layer, cuts) for layer in kernels(net) if (cuts := _fewer(net, layer, multiple))]
        if not options:
            raise UsageError(
                f"the budget cannot be met by thinning: {net.macs_per_lr_pixel:,} MACs per LR pixel and "
                f"{net.parameter_count():,} parameters are left when every layer has {multiple} channels or fewer"
            )
        now, macs = score(net, pairs), net.macs_per_lr_pixel

        def price(option: tuple[str, CutList], now: float = now, macs: int = macs, net: Network = net) -> float:
            saved = macs - cut(net, option[1]).macs_per_lr_pixel
            return max(_LEAST, now - score(masked(net, option[1]), pairs)) / max(1, saved)

        net = cut(net, min(options, key=price)[1])
        tell({layer: kernel.shape[0] for layer, kernel in kernels(net).items()}, whole - score(net, pairs))
    return net, {layer: 1 - kernel.shape[0] / first[layer] for layer, kernel in kernels(net).items()}


def _fewer(net: Network, layer: str, multiple: int) -> CutList | None:
    """The cut that takes one multiple of channels from a layer; None where that cannot be."""
    channels = kernels(net)[layer].shape[0]
    left = (channels - 1) // multiple * multiple
    if left < multiple:
        return None
    try:
        cuts = plan(net, ThinningConfig(layers={layer: 1 - left / channels}))
    except UsageError:  # the picture's own channels, or coupled with layers that keep theirs
        return None
    return cuts if layer in cuts.layers else None
