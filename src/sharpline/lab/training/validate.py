"""Validation with the protocol of ``sharpline evaluate``, on cached pictures."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from sharpline.lab.data.cache import PictureCache
from sharpline.lab.data.patches import as_batch
from sharpline.lab.networks import Network
from sharpline.pixels.metrics import psnr_y


def validate(net: Network, pictures: PictureCache) -> float:
    """Mean Y-PSNR in dB over the pictures, whole pictures, rounded to uint8."""
    scale = net.config.scale
    scores = [psnr_y(upscale(net, lr), hr, scale) for lr, hr in zip(pictures.lr, pictures.hr, strict=True)]
    return float(np.mean(scores))


@torch.no_grad()
def upscale(net: Network, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Run a network on one uint8 picture [H, W, C], rounding as the exported model does."""
    sr = net(as_batch(np.array(lr[None]))).float()
    rounded = sr.mul(255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(rounded[0].permute(1, 2, 0).numpy())
