"""SRResNet: residual blocks with batch norm, the generator of SRGAN.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", CVPR 2017,
figure 4. For use, each batch norm is merged into the convolution before it.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from sharpline.lab.networks.registry import Network, NetworkConfig, build, register


class SrResNetConfig(NetworkConfig):
    """Hyper-parameters of SRResNet.

    Attributes:
        channels: width.
        blocks: number of residual blocks.
        norm: batch norm as in the paper; without it, biases: the form for use, and one that may be trained too.
    """

    family: Literal["srresnet"] = "srresnet"
    scale: Literal[2, 4] = 4
    channels: int = Field(default=64, ge=1, le=512)
    blocks: int = Field(default=16, ge=1, le=64)
    norm: bool = True


class NormedConv(nn.Module):
    """A 3x3 convolution and its batch norm, or a 3x3 convolution with a bias."""

    norm: nn.BatchNorm2d | None

    def __init__(self, channels: int, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=not norm)
        self.norm = nn.BatchNorm2d(channels) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        x = self.conv(x)
        return x if self.norm is None else self.norm(x)


class ResidualBlock(nn.Module):
    """Convolution, PReLU, convolution, added to the input."""

    def __init__(self, channels: int, norm: bool) -> None:
        super().__init__()
        self.first = NormedConv(channels, norm)
        self.slope = nn.PReLU()
        self.second = NormedConv(channels, norm)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        residual: Tensor = self.second(self.slope(self.first(x)))
        return x + residual


@register("srresnet", SrResNetConfig)
class SrResNet(Network):
    """SRResNet on RGB.

    Example:
        >>> import torch
        >>> net = SrResNet(SrResNetConfig(scale=2, channels=8, blocks=1))
        >>> net(torch.rand(1, 3, 5, 7)).shape
        torch.Size([1, 3, 10, 14])
    """

    config: SrResNetConfig

    def __init__(self, config: SrResNetConfig) -> None:
        super().__init__()
        self.config = config
        c, stages = config.channels, config.scale // 2  # x2 a stage
        self.head = nn.Conv2d(config.colours, c, 9, padding=4)
        self.head_slope = nn.PReLU()
        self.body = nn.ModuleList(ResidualBlock(c, config.norm) for _ in range(config.blocks))
        self.after = NormedConv(c, config.norm)
        self.enlarge = nn.ModuleList(nn.Conv2d(c, 4 * c, 3, padding=1) for _ in range(stages))
        self.enlarge_slopes = nn.ModuleList(nn.PReLU() for _ in range(stages))
        self.tail = nn.Conv2d(c, config.colours, 9, padding=4)

    def forward(self, lr: Tensor) -> Tensor:
        """``lr`` [N, C, H, W] in [0, 1] -> ``sr`` [N, C, H*scale, W*scale], not clipped."""
        first = x = self.head_slope(self.head(lr))
        for block in self.body:
            x = block(x)
        x = first + self.after(x)
        for conv, slope in zip(self.enlarge, self.enlarge_slopes, strict=True):
            x = slope(F.pixel_shuffle(conv(x), 2))
        sr: Tensor = self.tail(x)
        return sr

    def fold(self) -> SrResNet:
        """The same function as in evaluation mode, without batch norm."""
        widths = {name: width for name, width in self.config.widths.items() if not name.endswith(".norm")}
        folded = build(self.config.model_copy(update={"norm": False, "widths": widths}))
        assert isinstance(folded, SrResNet)
        weights = {name: value for name, value in self.state_dict().items() if ".norm." not in name}
        for name, module in self.named_modules():
            if isinstance(module, NormedConv) and module.norm is not None:
                norm = module.norm
                assert norm.running_mean is not None
                assert norm.running_var is not None
                weights[f"{name}.conv.weight"], weights[f"{name}.conv.bias"] = fuse_conv_bn_weights(
                    module.conv.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
                )
        with torch.no_grad():
            folded.load_state_dict(weights)
        return folded.train(self.training)
