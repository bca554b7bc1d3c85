"""Cutting: channels set to zero, channels removed, and an optimiser's moments that follow."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sharpline.errors import ModelError
from sharpline.lab.compression.masks import Masks
from sharpline.lab.compression.thinning.cutlist import CutList
from sharpline.lab.networks import Network, build
from sharpline.lab.networks.widths import channels_of

_SIDE = 12  # of the picture on which a cut is checked
_TOLERANCE = 1e-4  # of the largest value, in float32


def masked(net: Network, cuts: CutList) -> Network:
    """A copy with the channels that go at zero: neither made nor read. It computes what the thinned one will."""
    copied = copy.deepcopy(net)
    Masks(copied).replace(cuts.zero(copied))
    return copied


def cut(net: Network, cuts: CutList) -> Network:
    """A copy without the channels that go.

    Its configuration says the new widths, so that a checkpoint of it is rebuilt as any other.

    Args:
        net: the network that the cuts were planned for.
        cuts: from :func:`~sharpline.lab.compression.thinning.plan`.

    Raises:
        ModelError: the thinned network is not the masked one: the family counts channels elsewhere than in layers.

    Example:
        >>> from sharpline.lab.compression.thinning import ThinningConfig, plan
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "espcn", "channels": 16, "inner": 8})
        >>> cut(net, plan(net, ThinningConfig(layers={"layers.0": 0.5}))).config.widths
        {'layers.0': [1, 8], 'layers.1': [8, 8]}
    """
    config = net.config.model_copy(update={"widths": {**net.config.widths, **cuts.widths}})
    thinned = build(config).to(next(net.parameters())).train(net.training)
    thinned.load_state_dict({name: _part(net, cuts, name, value) for name, value in net.state_dict().items()})
    _check(masked(net, cuts), thinned)
    return thinned


def _part(net: Network, cuts: CutList, tensor: str, value: Tensor) -> Tensor:
    """What is left of a tensor of the network, or of another one of its shape, by the tensor's name."""
    layer, _, name = tensor.rpartition(".")
    if layer not in cuts.layers:
        return value
    channels = channels_of(net.get_submodule(layer))
    assert channels is not None
    return channels.select(name, value, cuts.layers[layer].inputs, cuts.layers[layer].outputs)


@torch.no_grad()
def _check(whole: Network, thinned: Network) -> None:
    parameter = next(whole.parameters())
    generator = torch.Generator().manual_seed(0)
    lr = torch.rand(1, whole.config.colours, _SIDE, _SIDE, generator=generator).to(parameter)
    modes = whole.training, thinned.training
    try:
        expected, found = whole.eval()(lr), thinned.eval()(lr)
        wrong = float((found - expected).abs().max() / expected.abs().max().clamp(min=1))
    except RuntimeError as error:  # widths that do not fit each other
        raise _unfit(whole, str(error).splitlines()[0]) from None
    finally:
        whole.train(modes[0])
        thinned.train(modes[1])
    if not wrong <= _TOLERANCE:
        raise _unfit(whole, f"their outputs differ by {wrong:.1e} of the range")


def _unfit(net: Network, reason: str) -> ModelError:
    return ModelError(
        f"the thinned {net.config.family} is not the masked one ({reason}): the family has to take numbers of "
        "channels from its layers"
    )


def cut_moments(net: Network, cuts: CutList, moments: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What an optimiser knows of each parameter, cut as the parameters are.

    Args:
        net: the uncut network.
        cuts: what is cut.
        moments: by the names of parameters; values that have a parameter's shape are cut, others stay as they are.
    """
    shapes = {name: parameter.shape for name, parameter in net.named_parameters()}
    return {
        parameter: {
            key: _part(net, cuts, parameter, value)
            if isinstance(value, Tensor) and value.shape == shapes[parameter]
            else value
            for key, value in known.items()
        }
        for parameter, known in moments.items()
    }
