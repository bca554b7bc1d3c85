"""edge: Sharpline's own family, a plain stack of convolutions made for small hardware.

At inference it is head, body, tail: 3x3 convolutions with ReLU between them (the last one may be 1x1),
a pixel shuffle, and the input picture, enlarged bilinearly, added (the anchor). A repeated picture
as anchor would cost less, but it leaves the chroma in blocks: the network spends itself on luma. While it
learns, each convolution is the sum of a 3x3 kernel, an identity and, if ``expansion`` is set, a
3x3 -> 1x1 bottleneck in reverse; the sum is collapsed *before* the convolution in every step, so
that training costs one convolution a layer (Bhardwaj et al., "Collapsible Linear Blocks for
Super-Efficient Super Resolution", MLSys 2022, section 3; Ding et al., RepVGG, CVPR 2021; an
anchor: Du et al., "Anchor-based Plain Net for Mobile Image Super-Resolution", CVPRW 2021).
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.errors import UsageError
from sharpline.lab.networks.registry import Network, NetworkConfig, build, register
from sharpline.lab.networks.widths import Channels, channels_of


class EdgeConfig(NetworkConfig):
    """Hyper-parameters of the edge family.

    Attributes:
        channels: width of the body.
        depth: number of body convolutions (channels -> channels).
        tail_kernel: size of the last convolution, 1 or 3.
        expansion: width of the train-time 3x3 -> 1x1 branch, 0 for none.
        residual: what is added to the anchor: ``rgb``, or ``luma``, the same to each colour, so that all of the body
            works for the luma and the chroma stays the anchor's. Folded it is an ``rgb`` one.
        plain: neither branches nor identities: what is stored are the kernels themselves, as compression needs it.
    """

    family: Literal["edge"] = "edge"
    channels: int = Field(default=32, ge=1, le=512)
    depth: int = Field(default=10, ge=0, le=64)
    tail_kernel: Literal[1, 3] = 3
    expansion: int = Field(default=0, ge=0, le=1024)
    residual: Literal["rgb", "luma"] = "rgb"
    plain: bool = False

    @model_validator(mode="after")
    def _plain_is_folded(self) -> Self:
        if self.plain and (self.expansion or self.residual != "rgb"):
            raise ValueError("a plain network is a folded one: leave out expansion and residual, or plain")
        return self


class CollapsibleConv(nn.Module):
    """A convolution whose kernel is a sum of branches, collapsed to one kernel at each call.

    The kernels are stored as matrices [out, in * k * k], the shape in which the optimiser sees them.
    """

    identity: Tensor | None

    def __init__(self, inputs: int, outputs: int, kernel: int, *, expansion: int, identity: bool, gain: float) -> None:
        super().__init__()
        self.inputs, self.kernel = inputs, kernel
        fan_in = inputs * kernel * kernel
        self.weight = nn.Parameter(torch.randn(outputs, fan_in) * gain * (2 / fan_in) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))
        if expansion:
            self.expand = nn.Parameter(torch.randn(expansion, fan_in) * fan_in**-0.5)
            self.squeeze = nn.Parameter(torch.randn(outputs, expansion) * gain * expansion**-0.5)
        self.register_buffer("identity", None, persistent=False)
        if identity:
            centre = torch.zeros(outputs, inputs, kernel, kernel)
            centre[range(inputs), range(inputs), kernel // 2, kernel // 2] = 1
            self.identity = centre.reshape(outputs, fan_in)

    def collapsed(self) -> Tensor:
        """The one kernel [out, in, k, k] that all branches sum to."""
        weight: Tensor = self.weight
        if hasattr(self, "expand"):
            weight = weight + self.squeeze @ self.expand
        if self.identity is not None:
            weight = weight + self.identity
        return weight.view(-1, self.inputs, self.kernel, self.kernel)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in, H, W] -> [N, out, H, W], zero border."""
        return F.conv2d(x, self.collapsed(), self.bias, padding=self.kernel // 2)

    @torch.no_grad()
    def bake(self) -> None:
        """Take the identity into the stored kernel; the same function, which starts and learns alike."""
        if self.identity is not None:
            self.weight.add_(self.identity)
            self.identity = None

    @property
    def is_plain(self) -> bool:
        """Whether the stored kernel is the one that is computed with."""
        return self.identity is None and not hasattr(self, "expand")


@channels_of.register
def _channels(layer: CollapsibleConv) -> Channels:
    if not layer.is_plain:
        raise UsageError("a layer of the edge family is a sum of branches: compression needs 'plain: true'")
    return Channels(layer.inputs, len(layer.bias), {"weight": ("out", "in"), "bias": ("out",)}, {"inputs": "in"})


@register("edge", EdgeConfig)
class Edge(Network):
    """The edge network in its trainable form.

    Args:
        config: hyper-parameters.

    Example:
        >>> import torch
        >>> net = Edge(EdgeConfig(channels=16, depth=1, scale=2))
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    config: EdgeConfig

    def __init__(self, config: EdgeConfig) -> None:
        super().__init__()
        self.config = config
        c, e = config.channels, config.expansion
        outputs = config.colours * config.scale**2
        self.head = CollapsibleConv(config.colours, c, 3, expansion=e, identity=False, gain=1.0)
        # Pixels are positive: a kernel with a mean would be on, or dead, everywhere. These see differences.
        with torch.no_grad():
            self.head.weight.sub_(self.head.weight.mean(1, keepdim=True))
        # The body starts close to the identity: a plain stack of random layers hardly learns.
        self.body = nn.ModuleList(
            CollapsibleConv(c, c, 3, expansion=e, identity=True, gain=0.1) for _ in range(config.depth)
        )
        self.tail = CollapsibleConv(c, outputs, config.tail_kernel, expansion=e, identity=False, gain=0.1)
        if config.plain:
            for conv in self.convolutions():
                conv.bake()

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        x = F.relu(self.head(lr))
        for layer in self.body:
            x = F.relu(layer(x))
        s = self.config.scale
        anchor = F.interpolate(lr, scale_factor=s, mode="bilinear", align_corners=False)
        residual = unpack(self.tail(x), s)
        if self.config.residual == "luma":
            residual = luma_share(residual)
        return residual + anchor

    @property
    def macs_per_lr_pixel(self) -> int:
        """The convolutions, and the 3x3 kernels by which the device makes the anchor."""
        anchor = 9 * self.config.colours**2 * self.config.scale**2
        return super().macs_per_lr_pixel + anchor

    def convolutions(self) -> list[CollapsibleConv]:
        """Head, body and tail in order."""
        return [m for m in self.modules() if isinstance(m, CollapsibleConv)]

    def fold(self) -> Edge:
        """The same function without branches (``expansion=0``; the identity stays a constant of the form)."""
        return self._folded(plain=self.config.plain)

    def plain(self) -> Edge:
        """The same function as plain convolutions: neither branches nor identities."""
        return self if self.config.plain else self._folded(plain=True)

    def _folded(self, plain: bool) -> Edge:
        folded = build(self.config.model_copy(update={"expansion": 0, "residual": "rgb", "plain": plain}))
        assert isinstance(folded, Edge)
        with torch.no_grad():
            for mine, theirs in zip(self.convolutions(), folded.convolutions(), strict=True):
                kernel: Tensor = mine.collapsed().flatten(1)
                bias: Tensor = mine.bias
                if mine is self.tail and self.config.residual == "luma":
                    kernel, bias = (luma_share(t.view(self.config.scale**2, 3, -1)).flatten() for t in (kernel, bias))
                kernel = kernel.view_as(theirs.weight)
                theirs.weight.copy_(kernel if theirs.identity is None else kernel - theirs.identity)
                theirs.bias.copy_(bias)
        return folded.train(self.training)


def luma_share(colours: Tensor) -> Tensor:
    """What a residual adds to luma (BT.601), the same for each of its three colours: [N, 3, ...] -> [N, 3, ...].

    Example:
        >>> [round(v, 3) for v in luma_share(torch.eye(3))[:, 0].tolist()]
        [0.299, 0.587, 0.114]
    """
    weights = colours.new_tensor((65.481, 128.553, 24.966))
    shape = (3,) + (1,) * (colours.ndim - 2)
    return (colours * (weights / weights.sum()).view(shape)).sum(1, keepdim=True).expand_as(colours)


def unpack(packed: Tensor, scale: int) -> Tensor:
    """Pixel shuffle with channels ordered (row in block, column in block, colour).

    This order, unlike :func:`torch.nn.functional.pixel_shuffle`'s colour-first one, makes the last
    step on the device a copy of runs of ``scale * C`` bytes.

    Args:
        packed: [N, scale * scale * C, H, W].
        scale: block size.

    Returns:
        [N, C, H * scale, W * scale].
    """
    n, channels, h, w = packed.shape
    colours = channels // scale**2
    blocks = packed.view(n, scale, scale, colours, h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, colours, h * scale, w * scale)
