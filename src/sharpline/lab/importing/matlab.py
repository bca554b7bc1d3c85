"""Reads MatConvNet weights out of .mat files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sharpline.errors import ModelError
from sharpline.lab.importing.matfile import read_variables


def read_matlab(path: Path) -> dict[str, Tensor]:
    """Read the convolutions of a MatConvNet network.

    Two forms are known: ``model`` with the cells ``weight`` and ``bias`` (VDSR's authors), and a ``net`` whose
    cell ``layers`` holds structs with ``weights = {kernel, bias}`` (MatConvNet's SimpleNN).

    Returns:
        ``layers.0.weight`` [out, in, h, w] and ``layers.0.bias`` [out] and so on, in their order.

    Raises:
        ModelError: damaged, or of neither form.
    """
    try:
        variables = read_variables(path.read_bytes())
    except (ValueError, OSError) as error:
        raise ModelError(f"{path}: is not a readable MATLAB file ({error})") from None
    try:
        pairs = _pairs(variables)
    except (KeyError, IndexError, ValueError, TypeError):
        raise ModelError(f"{path}: holds neither MatConvNet's net.layers nor model.weight and model.bias") from None
    state = {}
    for i, (kernel, bias) in enumerate(pairs):
        state[f"layers.{i}.weight"], state[f"layers.{i}.bias"] = _as_torch(path, i, kernel, bias)
    return state


def _pairs(variables: dict[str, Any]) -> list[tuple[Any, Any]]:
    if "model" in variables:
        model = variables["model"][0]
        return list(zip(model["weight"], model["bias"], strict=True))
    layers = [cell[0] for cell in variables["net"][0]["layers"]]
    weights = [layer["weights"] for layer in layers if "weights" in layer]
    return [(kernel, bias) for kernel, bias in weights]


def _as_torch(path: Path, i: int, kernel: Any, bias: Any) -> tuple[Tensor, Tensor]:
    """From [h, w, in, out], where MATLAB drops dimensions of one at the end, to [out, in, h, w]."""
    if not all(isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in (kernel, bias)) or kernel.ndim > 4:
        raise ModelError(f"{path}: layer {i} holds no kernel and bias of floating-point values")
    whole: NDArray[Any] = kernel.reshape(kernel.shape + (1,) * (4 - kernel.ndim))
    weight = np.ascontiguousarray(whole.transpose(3, 2, 0, 1), np.float32)
    return torch.from_numpy(weight), torch.from_numpy(np.ascontiguousarray(bias.ravel(), np.float32))
