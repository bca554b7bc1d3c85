"""Pixel losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # BT.601 studio range, the Y that is scored
_EPSILON = 1e-3  # of Charbonnier; Lai et al., LapSRN, CVPR 2017, section 3.3


def distance(a: Tensor, b: Tensor, kind: str) -> Tensor:
    """Mean distance of two pictures: ``l1``, ``mse``, or ``charbonnier``, sqrt(d^2 + 0.001^2).

    Example:
        >>> round(distance(torch.zeros(4), torch.full((4,), 0.5), "charbonnier").item(), 4)
        0.5
    """
    if kind == "charbonnier":
        return torch.sqrt((a - b).square() + _EPSILON**2).mean()
    return F.l1_loss(a, b) if kind == "l1" else F.mse_loss(a, b)


def pixel_loss(sr: Tensor, hr: Tensor, kind: str, luma_weight: float) -> Tensor:
    """A distance on all channels, plus the same on luma.

    Args:
        sr: [N, C, H, W] in [0, 1], not clipped.
        hr: the same shape.
        kind: of :func:`distance`.
        luma_weight: weight of the luma term; ignored for one channel.
    """
    loss = distance(sr, hr, kind)
    if luma_weight and sr.shape[1] == 3:
        weights = torch.tensor(_LUMA, dtype=sr.dtype, device=sr.device).view(1, 3, 1, 1)
        difference = ((sr - hr) * weights).sum(1)
        loss = loss + luma_weight * distance(difference, torch.zeros_like(difference), kind)
    return loss


def to_luma(rgb: Tensor) -> Tensor:
    """RGB [N, 3, H, W] in [0, 1] -> the Y that is scored, [N, 1, H, W] in [16/255, 235/255], not rounded."""
    weights = torch.tensor(_LUMA, dtype=rgb.dtype, device=rgb.device).view(1, 3, 1, 1)
    return (rgb * weights).sum(1, keepdim=True) + 16 / 255
