"""The registry of network families: a recipe's ``network:`` block in, a module out."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from sharpline.errors import UsageError


class NetworkConfig(BaseModel):
    """What every family's configuration has; families add their hyper-parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    scale: int = Field(default=4, ge=1, le=8)
    colour: Literal["rgb", "y"] = "rgb"

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
    def receptive_field(self) -> int:
        """Radius, in LR pixels, of the input that one output pixel depends on (the exact halo)."""
        raise TypeError(f"{type(self).__name__} does not say its receptive field")

    @property
    def macs_per_lr_pixel(self) -> int:
        """Multiply-accumulates for each LR pixel, convolutions only, after folding."""
        raise TypeError(f"{type(self).__name__} does not count its multiply-accumulates")

    def fold(self) -> Network:
        """Return a copy for inference: the same function, train-time branches merged into plain layers."""
        return self

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Kernels between the first features and the output, as matrices: what Muon may update."""
        return [p for name, p in self.named_parameters() if p.ndim == 2 and not name.startswith("tail.")]

    def parameter_count(self) -> int:
        """Parameters after folding."""
        return sum(p.numel() for p in self.fold().parameters())


Builder = Callable[[Any], Network]
_FAMILIES: dict[str, tuple[type[NetworkConfig], Builder]] = {}


def register(family: str, config: type[NetworkConfig]) -> Callable[[Builder], Builder]:
    """Class decorator: makes a network buildable by ``build({"family": family, ...})``."""

    def add(builder: Builder) -> Builder:
        _FAMILIES[family] = (config, builder)
        return builder

    return add


def families() -> list[str]:
    """Names of the registered families."""
    return sorted(_FAMILIES)


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
    return _FAMILIES[config.family][1](config)


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One line for the first thing that is wrong in a configuration, with the nearest name for a typo."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        names = _field_names(model)
        near = get_close_matches(key, names, n=1)
        hint = f"did you mean {names[near[0]]!r}?" if near else "it is not a setting here"
        return f"unknown key {where!r}: {hint}"
    return f"{where}: {first['msg']} (got {first['input']!r})"


def _field_names(model: type[BaseModel], above: str = "") -> dict[str, str]:
    """Every field of a configuration and of the ones inside it, with its dotted place."""
    names: dict[str, str] = {}
    for name, field in model.model_fields.items():
        names.setdefault(name, above + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names = _field_names(field.annotation, f"{above}{name}.") | names
    return names


def measured_receptive_field(net: Network, reach: int = 64) -> int:
    """Measure the receptive field's radius in LR pixels by a gradient, a check on the computed one.

    Args:
        net: the network.
        reach: largest radius that can be seen; the probe picture is (2 * reach + 1) square.
    """
    size = 2 * reach + 1
    lr = torch.rand(1, net.config.colours, size, size, requires_grad=True)
    sr: Tensor = net(lr)
    s = net.config.scale
    sr[:, :, reach * s : (reach + 1) * s, reach * s : (reach + 1) * s].abs().sum().backward()  # type: ignore[no-untyped-call]
    assert lr.grad is not None
    rows, columns = torch.nonzero(lr.grad.abs().sum((0, 1)), as_tuple=True)
    return int(torch.stack([(rows - reach).abs().max(), (columns - reach).abs().max()]).max())
