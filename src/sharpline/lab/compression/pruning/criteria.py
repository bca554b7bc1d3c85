"""Which weights of a kernel go: pure functions."""

from __future__ import annotations

from zlib import crc32

import torch
from torch import Tensor

from sharpline.lab.compression.pruning.config import Criterion


@torch.no_grad()
def pruned(kernel: Tensor, criterion: Criterion, amount: float, *, layer: str = "", seed: int = 0) -> Tensor:
    """Choose the weights of a kernel that are set to zero.

    Weights that are zero already are the first to go under every criterion, so that turn after turn of a schedule
    adds to the same choice.

    Args:
        kernel: any shape.
        criterion: see :class:`~sharpline.lab.compression.pruning.config.PruningConfig`.
        amount: in the criterion's units.
        layer: name of the layer, which with ``seed`` makes the choice of ``random``.
        seed: of ``random``.

    Returns:
        bool, in the shape of the kernel: True where a weight goes.

    Example:
        >>> pruned(torch.tensor([[0.3, -0.1], [0.2, -0.4]]), "level", 0.5)
        tensor([[False,  True],
                [ True, False]])
    """
    size = kernel.abs()
    if criterion == "threshold":
        return (size < amount) | (size == 0)
    if criterion == "sensitivity":
        return (size < amount * kernel.std(correction=0)) | (size == 0)
    if criterion == "random":
        generator = torch.Generator().manual_seed(crc32(f"{seed} {layer}".encode()))
        drawn = torch.rand(kernel.shape, generator=generator).to(kernel.device)
        size = torch.where(size == 0, 0, drawn + 1)
    order = size.flatten().argsort(stable=True)  # exactly so many, also among equals
    chosen = torch.zeros(kernel.numel(), dtype=torch.bool, device=kernel.device)
    chosen[order[: min(round(amount * kernel.numel()), kernel.numel() - 1)]] = True  # never a whole layer
    return chosen.view(kernel.shape)
