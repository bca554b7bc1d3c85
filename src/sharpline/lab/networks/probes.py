"""Facts about a network that are found by looking at it run, so that nobody has to type them in."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_REACHES = (32, 128, 512, 2048)  # radii tried, in LR pixels
_PLACES = 8  # neighbouring pixels that must spread alike


def receptive_field(net: nn.Module, colours: int, scale: int, multiple: int = 1) -> int | None:
    """How far, in LR pixels, a pixel of the input reaches in the output.

    A pixel that is not a number makes everything not a number that it has a part in, whatever the weights. The
    pictures are strips of one row and of one column, in double precision, which keeps to convolutions that are
    computed pixel by pixel: a Winograd or Fourier transform would spread it over a whole tile.

    Zeros in a fixed kernel count as parts too: bicubic by an even factor may add one pixel to what is needed.

    Args:
        net: a network on the meta device; its weights are replaced.
        colours: channels of the picture.
        scale: the network's factor.
        multiple: distance at which the network repeats itself (blocks that it folds at the entrance).

    Returns:
        The radius; None where it has no bound (pooling over the whole picture) or depends on where the pixel is
        (strided attention), so that no halo makes tiles exact.
    """
    net = net.to_empty(device="cpu").double().eval()
    for tensor in (*net.parameters(), *net.buffers()):
        tensor.data.zero_()
    for reach in _REACHES:
        rows, columns = (_spans(net, colours, scale, reach, axis) for axis in (2, 3))
        farthest = max(map(abs, [*sum(rows, ()), *sum(columns, ())]))
        if farthest < reach:
            alike = all(len(set(spans[place::multiple])) == 1 for spans in (rows, columns) for place in range(multiple))
            return farthest if alike else None
    return None


@torch.no_grad()
def _spans(net: nn.Module, colours: int, scale: int, reach: int, axis: int) -> list[tuple[int, int]]:
    """First and last LR pixel, counted from itself, that each of some neighbouring pixels reaches along an axis."""
    shape = [_PLACES, colours, 1, 1]
    shape[axis] = 2 * reach + _PLACES
    strips = torch.zeros(shape, dtype=torch.double)
    for place in range(_PLACES):
        strips[place].select(axis - 1, reach + place).fill_(torch.nan)
    touched: Tensor = net(strips).isnan().any(1).any(4 - axis)
    spans = []
    for place in range(_PLACES):
        cells = touched[place].nonzero().flatten() // scale - (reach + place)
        spans.append((int(cells.min()), int(cells.max())))
    return spans


@torch.no_grad()
def macs_per_pixel(net: nn.Module, colours: int) -> int:
    """Multiply-accumulates of a network's convolutions for each LR pixel of a large picture.

    Args:
        net: a network on the meta device.
        colours: channels of the picture.
    """

    def macs(side: int) -> int:
        with FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, colours, side, side, device="meta"))
        return int(counter.get_total_flops()) // 2

    side = 480  # the second difference leaves out what is done once a picture, and once along its border
    return round((macs(3 * side) - 2 * macs(2 * side) + macs(side)) / (2 * side**2))
