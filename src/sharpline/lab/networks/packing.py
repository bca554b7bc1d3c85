"""Integer networks as tensors of a checkpoint: weights of 4, 2 and 1 bits several to a byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sharpline.errors import ModelError
from sharpline.runtime.integer import IntegerLayer, IntegerModel, check_integer

INTEGER = "integer"  # where a checkpoint's description says that it holds one


def pack_integer(model: IntegerModel) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and their description.

    A layer whose weights have 16, 4 or 2 different values keeps these and, for each weight, which of them it is: in
    4, 2 or 1 bits, the first weight in the lowest bits of a byte.

    Example:
        >>> layer = IntegerLayer("tail", np.array([-1, 1, 1, 1], np.int8).reshape(4, 1, 1, 1), np.zeros(4, "i4"),
        ...                      np.ones(4, "f4"))
        >>> tensors, form = pack_integer(IntegerModel((layer,), 2, 1))
        >>> tensors["tail.weight"], form["layers"][0]["bits"]
        (tensor([14], dtype=torch.uint8), 1)
    """
    tensors: dict[str, Tensor] = {}
    layers = []
    for layer in model.layers:
        stored = {"weight": layer.weight, "bias": layer.bias, "multiplier": layer.multiplier}
        stored |= {kind: v for kind, v in (("slope", layer.slope), ("spread", layer.spread)) if v is not None}
        if layer.bits < 8:
            values, codes = np.unique(layer.weight, return_inverse=True)
            stored |= {"weight": pack_codes(codes.ravel(), layer.bits), "values": values}
        tensors |= {f"{layer.name}.{part}": torch.from_numpy(np.ascontiguousarray(v)) for part, v in stored.items()}
        about = {"name": layer.name, "shape": list(layer.weight.shape), "bits": layer.bits, "top": layer.top}
        layers.append(about | {"zero": layer.zero, "border": layer.border})
    if model.anchor is not None:
        tensors["anchor"] = torch.from_numpy(model.anchor.astype(np.int16))
    return tensors, {"scale": model.scale, "colours": model.colours, "layers": layers}


def unpack_integer(tensors: dict[str, Tensor], form: dict[str, Any], source: str) -> IntegerModel:
    """The very network that :func:`pack_integer` was given.

    Raises:
        ModelError: tensors and description do not belong together.
    """
    try:
        layers = tuple(_layer(tensors, about) for about in form["layers"])
        anchor = tensors["anchor"].numpy().astype(np.int32) if "anchor" in tensors else None
        return check_integer(IntegerModel(layers, form["scale"], form["colours"], anchor), source)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise ModelError(f"{source}: its packed weights do not fit their description ({error})") from None


def _layer(tensors: dict[str, Tensor], about: dict[str, Any]) -> IntegerLayer:
    name, shape = about["name"], tuple(about["shape"])
    weight = tensors[f"{name}.weight"].numpy()
    if about["bits"] < 8:
        codes = unpack_codes(weight, about["bits"], int(np.prod(shape)))
        weight = tensors[f"{name}.values"].numpy()[codes]
    bias, multiplier = tensors[f"{name}.bias"].numpy(), tensors[f"{name}.multiplier"].numpy()
    slope, spread = (
        tensors[f"{name}.{kind}"].numpy() if f"{name}.{kind}" in tensors else None for kind in ("slope", "spread")
    )
    ends = (about["top"], about.get("zero", 0), slope, spread, about.get("border", "zeros"))
    return IntegerLayer(name, weight.reshape(shape), bias, multiplier, *ends)


def pack_codes(codes: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Numbers below 2^bits, 8 / bits of them to a byte.

    Example:
        >>> pack_codes(np.array([1, 2, 15]), 4).tolist()
        [33, 15]
    """
    each = 8 // bits
    padded = np.zeros(-(-len(codes) // each) * each, np.uint8)
    padded[: len(codes)] = codes
    places = (np.arange(each) * bits).astype(np.uint8)
    return np.asarray(np.bitwise_or.reduce(padded.reshape(-1, each) << places, axis=1), np.uint8)


def unpack_codes(packed: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint8]:
    """The first ``count`` numbers of :func:`pack_codes`.

    Example:
        >>> unpack_codes(np.array([33, 15], np.uint8), 4, 3).tolist()
        [1, 2, 15]
    """
    places = (np.arange(8 // bits) * bits).astype(np.uint8)
    codes: NDArray[np.uint8] = (packed[:, None] >> places) & np.uint8(2**bits - 1)
    return np.asarray(codes.ravel()[:count], np.uint8)
