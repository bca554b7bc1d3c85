"""Convolutions on levels: the layers of :mod:`sharpline.lab.networks.integer`, and what they are described by."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.fake_quant import (
    ActivationRule,
    Bits,
    WeightRule,
    activation_levels,
    own_step,
    round_through,
    scaled_gradient,
    weight_levels,
)
from sharpline.lab.networks.registry import NetworkConfig
from sharpline.runtime.integer import Border

Activation = Literal["relu", "prelu", "tanh"]
_WHITE = 255


class IntegerLayerConfig(BaseModel):
    """One convolution.

    Attributes:
        name: of the layer in the network it was made from.
        inputs: channels that come in.
        outputs: channels that go out.
        kernel: side of the kernel, odd.
        weights: bits of the weights.
        activations: bits of what comes in.
        activation: what comes after it; of no meaning in the last layer.
        zero: the level of what goes out that stands for 0.
        border: of what comes in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    inputs: int = Field(ge=1)
    outputs: int = Field(ge=1)
    kernel: int = Field(ge=1, le=9)
    weights: Bits = 8
    activations: Literal[4, 8] = 8
    activation: Activation = "relu"
    zero: int = Field(default=0, ge=0, le=254)
    border: Border = "zeros"


class IntegerConfig(NetworkConfig):
    """What an integer network is made of.

    Attributes:
        layers: in order.
        weight_rule: how weights of 4 and 2 bits are rounded.
        activation_rule: how the steps of activations learn.
        anchored: whether the picture is added in the last layer.
    """

    family: Literal["integer"] = "integer"
    layers: list[IntegerLayerConfig] = Field(min_length=1)
    weight_rule: WeightRule = "lsq"
    activation_rule: ActivationRule = "lsq"
    anchored: bool = True


def convolved(x: Tensor, weight: Tensor, bias: Tensor, border: Border) -> Tensor:
    """[N, in, H, W] -> [N, out, H, W] by a kernel [out, in, k, k], with zeros or the repeated edge around."""
    radius = weight.shape[2] // 2
    if border == "edge":
        return F.conv2d(F.pad(x, (radius,) * 4, mode="replicate"), weight, bias)
    return F.conv2d(x, weight, bias, padding=radius)


def bend(x: Tensor) -> Tensor:
    """Tanh as integer networks have it: :func:`sharpline.runtime.integer.bend`, the same operations in the same order.

    Example:
        >>> bend(torch.tensor([0.0, 9.0])).tolist()[0]
        0.0
    """
    x = x.clamp(-5, 5)
    s = x * x
    above = ((s + 378) * s + 17325) * s + 135135
    below = ((s * 28 + 3150) * s + 62370) * s + 135135
    return x * above / below


class IntegerConv(nn.Module):
    """A convolution on levels.

    Weights and biases are those of the float network, in its units; a step that learns is a factor (``..._gain``,
    around 1) of where it began, so that one learning rate fits all.
    """

    weight_start: Tensor
    out_start: Tensor
    white: Tensor

    def __init__(self, layer: IntegerLayerConfig, config: IntegerConfig, top: int | None) -> None:
        super().__init__()
        self.bits, self.rule, self.out_rule, self.top = layer.weights, config.weight_rule, config.activation_rule, top
        self.zero, self.border, self.bent = layer.zero, layer.border, layer.activation == "tanh" and top is not None
        self.weight = nn.Parameter(torch.zeros(layer.outputs, layer.inputs, layer.kernel, layer.kernel))
        self.bias = nn.Parameter(torch.zeros(layer.outputs))  # of pixel values in [0, 1]
        learned = layer.weights > 1 and not (config.weight_rule == "dorefa" and layer.weights < 8)
        self.register_buffer("weight_start", torch.ones(layer.outputs))
        self.register_buffer("out_start", torch.ones(layer.outputs))
        if self.bent:
            self.register_buffer("white", torch.tensor(float(_WHITE)))
        if top is not None:
            if layer.activation == "prelu":
                self.slope = nn.Parameter(torch.zeros(layer.outputs))
            self.out_gain = nn.Parameter(torch.ones(layer.outputs))
            if learned:
                self.weight_gain = nn.Parameter(torch.ones(layer.outputs))

    def out_step(self) -> Tensor:
        """[out]: what a level that goes out is worth, in levels of the picture; of the last layer 1."""
        return self.white / self.spread() if self.bent else self.spread()

    def spread(self) -> Tensor:
        """[out]: what :meth:`out_step` is, but after tanh how many levels 1 is, which is white."""
        if self.top is None:
            return self.out_start
        return self.out_start * scaled_gradient(self.out_gain, self.top**-0.5).abs()

    def kernel(self, in_step: Tensor) -> tuple[Tensor, Tensor]:
        """Weights as levels [out, in, k, k] and what a level of theirs is worth [out], given that of the input's."""
        weight = self.weight * in_step[:, None, None]
        step = own_step(weight, self.bits, self.rule) if self.top is not None else None
        if step is None:
            step = self.weight_start[:, None, None, None]
            if hasattr(self, "weight_gain"):
                factor = (self.weight[0].numel() * (2 ** (self.bits - 1) - 1)) ** -0.5
                step = step * scaled_gradient(self.weight_gain, factor).abs()[:, None, None, None]
        return weight_levels(weight, step, self.bits, self.rule), step.flatten()

    def numbers(self, in_step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Weight, bias and multiplier of the integer network, as floats that gradients pass."""
        weight, step = self.kernel(in_step)
        return weight, round_through(self.bias * _WHITE / step), step / (self.white if self.bent else self.out_step())

    def scaled(self, levels: Tensor, in_step: Tensor, more: Tensor | None = None, *, exact: bool = False) -> Tensor:
        """Levels [N, in, H, W] -> levels [N, out, H, W], neither rounded nor cut; arguments as of :meth:`forward`.

        ``exact`` takes the real tanh.
        """
        weight, bias, multiplier = self.numbers(in_step)
        total = convolved(levels, weight, bias, self.border)
        if more is not None:
            total = total + more
        x = total * multiplier[:, None, None]
        if hasattr(self, "slope"):
            x = F.prelu(x, self.slope)
        return (torch.tanh(x) if exact else bend(x)) * self.spread()[:, None, None] if self.bent else x

    def forward(self, levels: Tensor, in_step: Tensor, more: Tensor | None = None) -> Tensor:
        """Levels [N, in, H, W] -> levels [N, out, H, W]; those of the last layer are neither rounded nor cut.

        Levels are counted from the one that stands for 0.

        Args:
            levels: what comes in.
            in_step: [in], what a level of it is worth.
            more: [N, out, H, W], added to the accumulator.
        """
        x = self.scaled(levels, in_step, more)
        if self.top is None:
            return x
        return activation_levels(x, self.out_step()[:, None, None], self.top, self.out_rule, self.zero)
