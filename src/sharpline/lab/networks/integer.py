"""integer: a plain stack in integer arithmetic, simulated in float, which learns (QAT) and is shipped as integers.

It is never begun from nothing: :mod:`sharpline.lab.compression.quantization` makes it from a trained network. What
it computes is written down in ``docs/integer.md``; in evaluation mode its pictures are those of
:func:`sharpline.runtime.integer.upscale_integer`, byte for byte.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.edge import unpack
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
from sharpline.lab.networks.registry import Network, NetworkConfig, register
from sharpline.runtime.integer import IntegerLayer, IntegerModel, check_integer

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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    inputs: int = Field(ge=1)
    outputs: int = Field(ge=1)
    kernel: int = Field(ge=1, le=9)
    weights: Bits = 8
    activations: Literal[4, 8] = 8


class IntegerConfig(NetworkConfig):
    """What an integer network is made of.

    Attributes:
        layers: in order.
        weight_rule: how weights of 4 and 2 bits are rounded.
        activation_rule: how the steps of activations learn.
    """

    family: Literal["integer"] = "integer"
    layers: list[IntegerLayerConfig] = Field(min_length=1)
    weight_rule: WeightRule = "lsq"
    activation_rule: ActivationRule = "lsq"


class IntegerConv(nn.Module):
    """A convolution on levels.

    Weights and biases are those of the float network, in its units; a step that learns is a factor (``..._gain``,
    around 1) of where it began, so that one learning rate fits all.
    """

    weight_start: Tensor
    out_start: Tensor

    def __init__(self, layer: IntegerLayerConfig, config: IntegerConfig, top: int | None) -> None:
        super().__init__()
        self.bits, self.rule, self.out_rule, self.top = layer.weights, config.weight_rule, config.activation_rule, top
        self.weight = nn.Parameter(torch.zeros(layer.outputs, layer.inputs, layer.kernel, layer.kernel))
        self.bias = nn.Parameter(torch.zeros(layer.outputs))  # of pixel values in [0, 1]
        learned = layer.weights > 1 and not (config.weight_rule == "dorefa" and layer.weights < 8)
        self.register_buffer("weight_start", torch.ones(layer.outputs))
        self.register_buffer("out_start", torch.ones(layer.outputs))
        if top is not None:
            self.out_gain = nn.Parameter(torch.ones(layer.outputs))
            if learned:
                self.weight_gain = nn.Parameter(torch.ones(layer.outputs))

    def out_step(self) -> Tensor:
        """[out]: what a level that goes out is worth, in levels of the picture; of the last layer 1."""
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
        return weight, round_through(self.bias * _WHITE / step), step / self.out_step()

    def forward(self, levels: Tensor, in_step: Tensor, more: Tensor | None = None) -> Tensor:
        """Levels [N, in, H, W] -> levels [N, out, H, W]; those of the last layer are neither rounded nor cut.

        Args:
            levels: what comes in.
            in_step: [in], what a level of it is worth.
            more: [N, out, H, W], added to the accumulator.
        """
        weight, bias, multiplier = self.numbers(in_step)
        total = F.conv2d(levels, weight, bias, padding=weight.shape[2] // 2)
        if more is not None:
            total = total + more
        x = total * multiplier[:, None, None]
        return x if self.top is None else activation_levels(x, self.out_step()[:, None, None], self.top, self.out_rule)


@register("integer", IntegerConfig, derived=True)
class Integer(Network):
    """The simulation of an integer network.

    Args:
        config: its form; weights and steps come from :func:`sharpline.lab.compression.quantization.quantize`, or
            from a checkpoint.

    Example:
        >>> layer = IntegerLayerConfig(name="tail", inputs=3, outputs=12, kernel=3)
        >>> net = Integer(IntegerConfig(layers=[layer], scale=2))
        >>> net.receptive_field, net(torch.rand(1, 3, 5, 7)).shape
        (1, torch.Size([1, 3, 10, 14]))
    """

    config: IntegerConfig
    anchor: Tensor

    def __init__(self, config: IntegerConfig) -> None:
        super().__init__()
        self.config = config
        tops = [2**layer.activations - 1 for layer in config.layers[1:]]
        self.layers = nn.ModuleList(
            IntegerConv(layer, config, top) for layer, top in zip(config.layers, [*tops, None], strict=True)
        )
        outputs = config.layers[-1].outputs
        self.register_buffer("anchor", torch.zeros(outputs, 3, 3))

    def convolutions(self) -> list[IntegerConv]:
        """In order."""
        return [m for m in self.layers if isinstance(m, IntegerConv)]

    def in_steps(self) -> list[Tensor]:
        """For each convolution, what a level of each channel that comes in is worth; a pixel's is 1."""
        convolutions = self.convolutions()
        picture = torch.ones(self.config.colours, device=convolutions[0].weight.device)
        return [picture, *(conv.out_step() for conv in convolutions[:-1])]

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale]; a picture of whole levels in evaluation."""
        with torch.autocast(lr.device.type, enabled=False):  # integers up to 2^24 need all of float32
            picture = levels = round_through(lr.float() * _WHITE).clamp(0, _WHITE)
            convolutions, steps = self.convolutions(), self.in_steps()
            for conv, step in zip(convolutions[:-1], steps[:-1], strict=True):
                levels = conv(levels, step)
            sr = convolutions[-1](levels, steps[-1], self._anchored(picture))
            if not self.training:
                sr = torch.round(sr).clamp(0, _WHITE)
            return unpack(sr, self.config.scale) / _WHITE

    @torch.no_grad()
    def unrounded(self, lr: Tensor) -> Tensor:
        """The float twin, which pictures of more than 8 bits go through: rounding nowhere, saturation kept.

        Args:
            lr: [N, C, H, W] in [0, 1].

        Returns:
            [N, C, H*scale, W*scale], not clipped.
        """
        levels = lr * _WHITE
        for conv, step in zip(self.convolutions(), self.in_steps(), strict=True):
            weight, bias, multiplier = conv.numbers(step)
            total = F.conv2d(levels, weight, bias, padding=weight.shape[2] // 2)
            if conv.top is None:
                total = total + self._anchored(lr * _WHITE)
            levels = total * multiplier[:, None, None]
            if conv.top is not None:
                levels = levels.clamp(0, conv.top)
        return unpack(levels, self.config.scale) / _WHITE

    def _anchored(self, picture: Tensor) -> Tensor:
        """What the anchor adds to the last accumulator, each output from its own colour, borders repeated."""
        colours = self.config.colours
        taps = self.anchor.view(-1, colours, 1, 3, 3).transpose(0, 1).flatten(0, 1)  # colour first, as groups are
        packed = F.conv2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), taps, groups=colours)
        n, outputs, height, width = packed.shape
        return packed.view(n, colours, -1, height, width).transpose(1, 2).reshape(n, outputs, height, width)

    @property
    def receptive_field(self) -> int:
        """See :attr:`Network.receptive_field`."""
        return max(1, sum(layer.kernel // 2 for layer in self.config.layers))

    @property
    def macs_per_lr_pixel(self) -> int:
        """The convolutions and the anchor's, as those of the network it was made from."""
        anchor = 9 * self.config.colours**2 * self.config.scale**2
        return anchor + sum(layer.outputs * layer.inputs * layer.kernel**2 for layer in self.config.layers)

    def parameter_count(self) -> int:
        """Weights and biases."""
        return sum(conv.weight.numel() + conv.bias.numel() for conv in self.convolutions())


@torch.no_grad()
def to_integer(simulation: Integer) -> IntegerModel:
    """The integers that a simulation stands for: what is shipped.

    Raises:
        ModelError: a network in which something went out of all range.

    Example:
        >>> layer = IntegerLayerConfig(name="tail", inputs=1, outputs=4, kernel=3)
        >>> to_integer(Integer(IntegerConfig(layers=[layer], scale=2, colour="y"))).layers[0].weight.dtype
        dtype('int8')
    """
    layers = []
    for conv, step, form in zip(
        simulation.convolutions(), simulation.in_steps(), simulation.config.layers, strict=True
    ):
        weight, bias, multiplier = (part.detach().cpu().numpy() for part in conv.numbers(step.to(conv.weight.device)))
        layers.append(
            IntegerLayer(
                form.name,
                weight.astype(np.int8),
                bias.clip(-(2.0**31), 2.0**31 - 256).astype(np.int32),
                multiplier.astype(np.float32),
                255 if conv.top is None else conv.top,
            )
        )
    anchor = simulation.anchor.cpu().numpy().astype(np.int32)
    return check_integer(IntegerModel(tuple(layers), simulation.config.scale, simulation.config.colours, anchor))


@torch.no_grad()
def from_integer(model: IntegerModel) -> Integer:
    """A simulation of an integer network: the way back from what is shipped, exact.

    What the float network's units were is lost: every level is worth one, every weight is held in 8 bits.

    Example:
        >>> layer = IntegerLayerConfig(name="tail", inputs=1, outputs=4, kernel=3)
        >>> model = to_integer(Integer(IntegerConfig(layers=[layer], scale=2, colour="y")))
        >>> bool((to_integer(from_integer(model)).layers[0].multiplier == model.layers[0].multiplier).all())
        True
    """
    tops = [255, *(layer.top for layer in model.layers[:-1])]
    layers = [
        IntegerLayerConfig(
            name=layer.name,
            inputs=layer.weight.shape[1],
            outputs=layer.weight.shape[0],
            kernel=layer.weight.shape[2],
            activations=8 if top == 255 else 4,
        )
        for layer, top in zip(model.layers, tops, strict=True)
    ]
    net = Integer(IntegerConfig(layers=layers, scale=model.scale, colour="rgb" if model.colours == 3 else "y"))
    for conv, layer in zip(net.convolutions(), model.layers, strict=True):
        step = torch.from_numpy(layer.multiplier)
        conv.weight.copy_(torch.from_numpy(layer.weight) * step[:, None, None, None])
        conv.bias.copy_((torch.from_numpy(layer.bias) * step.double() / _WHITE).float())
        conv.weight_start.copy_(step)
    assert model.anchor is not None
    net.anchor.copy_(torch.from_numpy(model.anchor))
    return net.eval()
