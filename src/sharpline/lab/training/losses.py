"""Pixel losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # BT.601 studio range, the Y that is scored


def pixel_loss(sr: Tensor, hr: Tensor, kind: str, luma_weight: float) -> Tensor:
    """L1 or MSE on all channels, plus the same on luma.

    Args:
        sr: [N, C, H, W] in [0, 1], not clipped.
        hr: the same shape.
        kind: ``l1`` or ``mse``.
        luma_weight: weight of the luma term; ignored for one channel.
    """
    measure = F.l1_loss if kind == "l1" else F.mse_loss
    loss = measure(sr, hr)
    if luma_weight and sr.shape[1] == 3:
        weights = torch.tensor(_LUMA, dtype=sr.dtype).view(1, 3, 1, 1)
        difference = ((sr - hr) * weights).sum(1)
        loss = loss + luma_weight * measure(difference, torch.zeros_like(difference))
    return loss
