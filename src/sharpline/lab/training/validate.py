"""Validation with the protocol of ``sharpline evaluate``, on cached pictures."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from sharpline.lab.data.cache import PictureCache
from sharpline.lab.data.patches import as_batch
from sharpline.lab.networks import Network
from sharpline.pixels.colour import luma
from sharpline.pixels.imresize import imresize
from sharpline.pixels.metrics import psnr_y

Pixels = NDArray[np.uint8]
_FINITE = 100.0  # an infinite score of one black picture would decide for all


def validate(net: Network, pictures: PictureCache) -> float:
    """Mean Y-PSNR in dB over the pictures, whole pictures, rounded to uint8; equal ones count as 100 dB.

    Networks of luma get it shrunk in float, as the rows of their papers do.
    """
    scale = net.config.scale
    scores = []
    for lr, hr in zip(pictures.lr, pictures.hr, strict=True):
        if net.config.colour == "y":
            y = luma(hr)
            small = imresize(y.astype(np.float32) / np.float32(255), 1 / scale)
            scores.append(psnr_y(_run(net, torch.from_numpy(small)[None].permute(0, 3, 1, 2)), y, scale))
        else:
            scores.append(psnr_y(upscale(net, lr), hr, scale))
    return float(np.mean(np.minimum(scores, _FINITE)))


def upscale(net: Network, lr: Pixels) -> Pixels:
    """Run a network on one uint8 picture [H, W, C], rounding as the exported model does."""
    return _run(net, as_batch(np.array(lr[None])))


@torch.no_grad()
def _run(net: Network, lr: torch.Tensor) -> Pixels:
    device = next(net.parameters()).device
    sr = net(lr.to(device)).float().mul(255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(sr[0].permute(1, 2, 0).cpu().numpy())
