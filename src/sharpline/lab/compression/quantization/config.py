"""What quantization needs to be told, typed and strict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sharpline.errors import UsageError
from sharpline.lab.networks.fake_quant import ActivationRule, Bits, WeightRule
from sharpline.settings import explain

ActivationBits = Literal[4, 8]
Clipping = Literal["minmax", "percentile", "mse", "aciq"]


class LayerBits(BaseModel):
    """Bits of one layer's weights and of what comes into it; None leaves what the layer would have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: Bits | None = None
    activations: ActivationBits | None = None


class QuantizationConfig(BaseModel):
    """How a network becomes one of integers. Unknown keys are refused.

    Attributes:
        weights: bits of all layers' weights but the first one's and the last one's, which keep 8.
        activations: bits of what comes into those layers.
        layers: other bits by the layers' names (``body.0``) or patterns of them (``body.*``); a later pattern wins,
            and one that names the first or the last layer is obeyed.
        clipping: where activations saturate: at the largest seen (``minmax``), at a ``percentile``, where the mean
            square error is smallest (``mse``; the best for 4 bits), or where it would be for a Laplace distribution
            (``aciq``).
        percentile: of ``clipping: percentile``.
        bias_correction: take what rounding moves each channel by out of the biases: worth 0.07 dB at 4 bits without
            training, and at 8 bits not worth it.
        weight_rule: how weights of 4 and 2 bits are rounded: ``lsq`` or ``dorefa``.
        activation_rule: how the steps of activations learn: ``lsq`` or ``pact``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: Bits = 8
    activations: ActivationBits = 8
    layers: dict[str, LayerBits] = {}
    clipping: Clipping = "percentile"
    percentile: float = Field(default=99.99, gt=50, le=100)
    bias_correction: bool = False
    weight_rule: WeightRule = "lsq"
    activation_rule: ActivationRule = "lsq"

    def with_weights(self, bits: Mapping[str, Bits]) -> QuantizationConfig:
        """The same with other bits for the weights of the layers that are named."""
        return self.model_copy(update={"layers": {name: LayerBits(weights=count) for name, count in bits.items()}})


def parse_quantization(settings: dict[str, Any]) -> QuantizationConfig:
    """Check settings.

    Raises:
        UsageError: an unknown key (with the nearest name), or bits that there are none of.

    Example:
        >>> parse_quantization({"weights": 3})
        Traceback (most recent call last):
        sharpline.errors.UsageError: quantization: weights: Input should be 1, 2, 4 or 8 (got 3)
    """
    try:
        return QuantizationConfig(**settings)
    except ValidationError as error:
        raise UsageError(f"quantization: {explain(error, QuantizationConfig)}") from None


def bits_of(names: Sequence[str], config: QuantizationConfig) -> list[tuple[Bits, ActivationBits]]:
    """Bits of the weights of each layer and of what comes into it.

    Args:
        names: of the layers, in order; into the first one comes the picture, whose 8 bits stay.
        config: the bits.

    Raises:
        UsageError: a pattern that fits no layer, or one that wants 4 bits of the picture.

    Example:
        >>> bits_of(["head", "body.0", "tail"], QuantizationConfig(weights=4, activations=4))
        [(8, 8), (4, 4), (8, 8)]
    """
    bits: list[tuple[Bits, ActivationBits]] = [
        (config.weights, config.activations) if 0 < place < len(names) - 1 else (8, 8) for place in range(len(names))
    ]
    for pattern, wanted in config.layers.items():
        places = [place for place, name in enumerate(names) if fnmatchcase(name, pattern)]
        if not places:
            near = get_close_matches(pattern, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"the layers are {', '.join(names)}"
            raise UsageError(f"quantization.layers: no layer is called {pattern!r}: {hint}")
        for place in places:
            weights, activations = bits[place]
            bits[place] = (wanted.weights or weights, wanted.activations or activations)
    if bits[0][1] != 8:
        raise UsageError(f"quantization.layers: into {names[0]!r} comes the picture, which has 8 bits")
    return bits
