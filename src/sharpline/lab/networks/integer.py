"""integer: a plain stack in integer arithmetic, simulated in float, which learns (QAT) and is shipped as integers.

It is never begun from nothing: :mod:`sharpline.lab.compression.quantization` makes it from a trained network. What
it computes is written down in ``docs/integer.md``; in evaluation mode its pictures are those of
:func:`sharpline.runtime.integer.upscale_integer`, byte for byte.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.lab.networks.edge import unpack
from sharpline.lab.networks.fake_quant import round_through
from sharpline.lab.networks.integer_layers import IntegerConfig, IntegerConv, IntegerLayerConfig
from sharpline.lab.networks.registry import Network, register
from sharpline.runtime.integer import IntegerLayer, IntegerModel, check_integer

_WHITE = 255


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
            more = self._anchored(lr * _WHITE) if conv.top is None else None
            levels = conv.scaled(levels, step, more, exact=True)
            if conv.top is not None:
                levels = levels.clamp(-conv.zero, conv.top - conv.zero)
        return unpack(levels, self.config.scale) / _WHITE

    def _anchored(self, picture: Tensor) -> Tensor | None:
        """What the anchor adds to the last accumulator, each output from its own colour, borders repeated."""
        if not self.config.anchored:
            return None
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
        anchor = 9 * self.config.colours**2 * self.config.scale**2 * self.config.anchored
        return anchor + sum(layer.outputs * layer.inputs * layer.kernel**2 for layer in self.config.layers)

    def parameter_count(self) -> int:
        """Weights, biases and slopes."""
        kept = ("weight", "bias", "slope")
        return sum(p.numel() for name, p in self.named_parameters() if name.split(".")[-1] in kept)


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
        slope = conv.slope.detach().cpu().numpy() if hasattr(conv, "slope") else None
        layers.append(
            IntegerLayer(
                form.name,
                weight.astype(np.int8),
                bias.clip(-(2.0**31), 2.0**31 - 256).astype(np.int32),
                multiplier.astype(np.float32),
                255 if conv.top is None else conv.top,
                conv.zero,
                slope,
                conv.spread().detach().cpu().numpy() if conv.bent else None,
                conv.border,
            )
        )
    anchor = simulation.anchor.cpu().numpy().astype(np.int32) if simulation.config.anchored else None
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
            activation="tanh" if layer.spread is not None else "prelu" if layer.slope is not None else "relu",
            zero=layer.zero,
            border=layer.border,
        )
        for layer, top in zip(model.layers, tops, strict=True)
    ]
    colour: Literal["rgb", "y"] = "rgb" if model.colours == 3 else "y"
    net = Integer(IntegerConfig(layers=layers, scale=model.scale, colour=colour, anchored=model.anchor is not None))
    in_step = torch.ones(model.colours)
    for conv, layer in zip(net.convolutions(), model.layers, strict=True):
        step = torch.from_numpy(layer.multiplier)
        conv.weight.copy_(torch.from_numpy(layer.weight) * step[:, None, None, None] / in_step[:, None, None])
        if layer.slope is not None:
            conv.slope.copy_(torch.from_numpy(layer.slope))
        if layer.spread is not None:
            conv.out_start.copy_(torch.from_numpy(layer.spread))
            conv.white.fill_(1)
        conv.bias.copy_((torch.from_numpy(layer.bias) * step.double() / _WHITE).float())
        conv.weight_start.copy_(step)
        in_step = conv.out_step()
    if model.anchor is not None:
        net.anchor.copy_(torch.from_numpy(model.anchor))
    return net.eval()
