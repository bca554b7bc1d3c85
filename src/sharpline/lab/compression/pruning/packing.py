"""Sparse tensors in checkpoints: a bit for each value that says whether it is zero, and the others as they are.

No zip over it: the values left are noise to a coder, and the bits cost an eighth of a byte.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sharpline.errors import ModelError

_BITS, _VALUES = ":bits", ":values"


def pack(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, list[int]]]:
    """Store those tensors sparsely that are smaller so.

    Returns:
        The tensors, in place of a packed one its bits (uint8) and values under its name with an ending; and the
        shapes of those that were packed.

    Example:
        >>> small, shapes = pack({"w": torch.tensor([[0.0, 0.0, 0.5, 0.0]])})
        >>> {name: tensor.tolist() for name, tensor in small.items()}, shapes
        ({'w:bits': [32], 'w:values': [0.5]}, {'w': [1, 4]})
    """
    packed: dict[str, Tensor] = {}
    shapes: dict[str, list[int]] = {}
    for name, tensor in tensors.items():
        present = tensor.detach().cpu().contiguous().flatten() != 0
        values = tensor.detach().cpu().contiguous().flatten()[present]
        bits = torch.from_numpy(np.packbits(present.numpy()))
        if bits.nbytes + values.nbytes < tensor.nbytes:
            packed |= {name + _BITS: bits, name + _VALUES: values}
            shapes[name] = list(tensor.shape)
        else:
            packed[name] = tensor
    return packed, shapes


def unpack(tensors: Mapping[str, Tensor], shapes: Mapping[str, list[int]]) -> dict[str, Tensor]:
    """Undo :func:`pack`, to the bit.

    Raises:
        ModelError: bits and values that do not belong together.
    """
    whole = {name: tensor for name, tensor in tensors.items() if not name.endswith((_BITS, _VALUES))}
    for name, shape in shapes.items():
        bits, values = tensors.get(name + _BITS), tensors.get(name + _VALUES)
        count = int(np.prod(shape))
        if bits is None or values is None or len(bits) != (count + 7) // 8:
            raise ModelError(f"the packed tensor {name} is not whole")
        present = torch.from_numpy(np.unpackbits(bits.numpy(), count=count)).bool()
        if int(present.sum()) != len(values):
            raise ModelError(f"the packed tensor {name} has {len(values)} values for {int(present.sum())} places")
        flat = values.new_zeros(count)
        flat[present] = values
        whole[name] = flat.view(shape)
    return whole
