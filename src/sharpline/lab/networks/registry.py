"""The registry of network families: a recipe's ``network:`` block in, a module out."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from sharpline.errors import UsageError
from sharpline.lab.networks import probes, widths
from sharpline.settings import explain

# What widths are called in the families' configurations, and how small they may be: facts that do not depend on the
# width are found on a thin copy.
_THIN = {"channels": 4, "growth": 1, "inner": 1, "attention": 1, "expansion": 0}


Width = Annotated[list[int], Field(min_length=2, max_length=2)]


class NetworkConfig(BaseModel):
    """What every family's configuration has; families add their hyper-parameters.

    Attributes:
        widths: input and output channels of the layers that have other ones than the hyper-parameters say: what
            thinning has left of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    scale: int = Field(default=4, ge=1, le=8)
    colour: Literal["rgb", "y"] = "rgb"
    widths: dict[str, Width] = {}

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def colours(self) -> int:
        """Number of image channels: 3 for rgb, 1 for y."""
        return 3 if self.colour == "rgb" else 1


class Network(nn.Module):
    """A super-resolution network: ``lr`` float [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale].

    Attributes:
        config: the typed configuration that rebuilds it.
    """

    config: NetworkConfig

    @property
    def receptive_field(self) -> int | None:
        """Radius, in LR pixels, of the input that one output pixel depends on: the exact halo of a tile.

        None for a network whose tiles are never exact: one that looks at the whole picture, or whose attention
        depends on where a pixel is.
        """
        return _receptive_field(self.config, self.tile_multiple)

    @property
    def tile_multiple(self) -> int:
        """Tiles have to begin at multiples of so many LR pixels; 1 where they may begin anywhere."""
        return 1

    @property
    def macs_per_lr_pixel(self) -> int:
        """Multiply-accumulates for each LR pixel of a large picture, convolutions only, after folding."""
        return _macs_per_lr_pixel(self.config)

    def levels(self, lr: Tensor) -> list[Tensor]:
        """What the loss sees: the SR picture; of a progressive network those of all its levels, coarse to fine."""
        return [self(lr)]

    def fold(self) -> Network:
        """Return a copy for inference: the same function, train-time branches merged into plain layers."""
        return self

    def plain(self) -> Network:
        """The form that compression works on: every kernel that is computed with is a stored one."""
        return self

    def hidden_kernels(self) -> list[nn.Parameter]:
        """Kernels of all layers but the last one, [out, ...]: what Muon may update."""
        kernels = {name: p for name, p in self.named_parameters() if p.ndim > 1}
        last = next(reversed(kernels), "").rpartition(".")[0]
        return [p for name, p in kernels.items() if name.rpartition(".")[0] != last]

    def parameter_count(self) -> int:
        """Parameters after folding."""
        return sum(p.numel() for p in self.fold().parameters())


Builder = Callable[[Any], Network]
_FAMILIES: dict[str, tuple[type[NetworkConfig], Builder]] = {}
_DERIVED: set[str] = set()  # families that are made from a trained network, never from a recipe alone


def register(family: str, config: type[NetworkConfig], *, derived: bool = False) -> Callable[[Builder], Builder]:
    """Class decorator: makes a network buildable by ``build({"family": family, ...})``.

    Args:
        family: its name.
        config: of its networks.
        derived: its networks are made from trained ones, so :func:`families` does not offer it.
    """

    def add(builder: Builder) -> Builder:
        _FAMILIES[family] = (config, builder)
        if derived:
            _DERIVED.add(family)
        return builder

    return add


def families() -> list[str]:
    """Names of the families that a recipe may begin with."""
    return sorted(set(_FAMILIES) - _DERIVED)


def parse(settings: dict[str, Any]) -> NetworkConfig:
    """Turn a ``network:`` block into the typed configuration of its family.

    Raises:
        UsageError: unknown family or hyper-parameter (with the nearest name), or a value out of range.
    """
    family = str(settings.get("family", ""))
    if family not in _FAMILIES:
        near = get_close_matches(family, _FAMILIES, n=1) or families()
        raise UsageError(f"network family {family!r} is not known: did you mean {' or '.join(near)}?")
    config = _FAMILIES[family][0]
    try:
        return config(**settings)
    except ValidationError as error:
        raise UsageError(f"network {family}: {explain(error, config)}") from None


def build(settings: dict[str, Any] | NetworkConfig) -> Network:
    """Build a freshly initialised network from its ``network:`` block or configuration.

    Example:
        >>> from sharpline.lab.networks import build
        >>> net = build({"family": "edge", "channels": 16, "depth": 2, "scale": 2})
        >>> net.receptive_field, net.macs_per_lr_pixel
        (4, 7092)
    """
    config = settings if isinstance(settings, NetworkConfig) else parse(settings)
    net = _FAMILIES[config.family][1](config)
    widths.fit(net, config.widths)
    return net


def thin(config: NetworkConfig) -> NetworkConfig:
    """The narrowest network of the same form: the same receptive field at next to no cost.

    Example:
        >>> thin(parse({"family": "edge", "channels": 32, "depth": 5})).model_dump(include={"channels", "depth"})
        {'channels': 4, 'depth': 5}
    """
    smallest = {name: width for name, width in _THIN.items() if name in type(config).model_fields}
    return type(config)(**(config.model_dump() | smallest | {"widths": {}}))


def skeleton(config: NetworkConfig) -> Network:
    """A folded network without weights, on the meta device: it takes no memory and no random numbers."""
    with torch.device("meta"):
        return build(config).fold()


@cache
def _receptive_field(config: NetworkConfig, multiple: int) -> int | None:
    return probes.receptive_field(skeleton(thin(config)), config.colours, config.scale, multiple)


@cache
def _macs_per_lr_pixel(config: NetworkConfig) -> int:
    return probes.macs_per_pixel(skeleton(config), config.colours)
