"""The picture that a network's residual is added to: enlargement as MATLAB's ``imresize`` does it."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def bicubic(lr: Tensor, scale: int) -> Tensor:
    """Enlarge pictures by an integer factor, equal to MATLAB's ``imresize(lr, scale)`` on floats.

    Keys' kernel with a = -0.5, borders mirrored with their edge. It is a padding, one fixed convolution and a pixel
    shuffle, so it exports anywhere; ``Resize`` of ONNX and torch's interpolation have other borders or kernels.
    Under autocast it stays in the precision of ``lr``.

    Args:
        lr: [N, C, H, W], floating point.
        scale: the factor, 1 or more.

    Returns:
        [N, C, H*scale, W*scale], not clipped: bicubic leaves [0, 1] by a little at edges.

    Source: R. Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 1981.

    Example:
        >>> import torch
        >>> ramp = torch.arange(4.0).view(1, 1, 1, 4)
        >>> [round(v, 3) for v in bicubic(ramp, 2)[0, 0, 0].tolist()]
        [-0.094, 0.18, 0.727, 1.25, 1.75, 2.273, 2.82, 3.094]
    """
    kernel = lr.new_tensor(_kernels(scale)).repeat(lr.shape[1], 1, 1, 1)  # [C * s * s, 1, 5, 5]
    with _no_autocast(lr.device.type):
        phases = F.conv2d(_mirrored(lr), kernel, groups=lr.shape[1])
    return F.pixel_shuffle(phases, scale)


def _mirrored(x: Tensor) -> Tensor:
    """Two more pixels on each side, mirrored with the edge repeated: ``b a | a b ... y z | z y``."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")  # [a a b ... y z z]: at least 3 long, whatever the picture
    x = torch.cat([x[:, :, 2:3], x, x[:, :, -3:-2]], 2)
    return torch.cat([x[..., 2:3], x, x[..., -3:-2]], 3)


@cache
def _kernels(scale: int) -> NDArray[np.float64]:
    """[s * s, 1, 5, 5]: what each pixel of a block takes from the 5 x 5 pixels around its LR pixel."""
    centre = (np.arange(scale) + 0.5) / scale - 0.5
    a = np.abs(np.arange(-2, 3) - centre[:, None])  # distances [s, 5]
    near = (1.5 * a - 2.5) * a * a + 1
    far = ((-0.5 * a + 2.5) * a - 4) * a + 2
    rows = np.where(a <= 1, near, np.where(a <= 2, far, 0.0))
    grid: NDArray[np.float64] = rows[:, None, :, None] * rows[None, :, None, :]
    return grid.reshape(scale * scale, 1, 5, 5)


def _no_autocast(device: str) -> torch.autocast | nullcontext[None]:
    """In bf16 the anchor would lose half of its 8 bits, which no residual brings back."""
    on = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if on else nullcontext()
