"""Tiles of networks that see too far: a halo is chosen, and what it costs is measured and stated.

A network that pools over the whole picture, or whose receptive field is hundreds of pixels, cannot be cut into
tiles without a difference. Here the difference is looked for where it is large: on a small photograph in small tiles.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from sharpline.pixels.colour import luma
from sharpline.pixels.reading import read_image
from sharpline.runtime.card import ModelCard
from sharpline.runtime.upscaler import Upscaler

LARGEST_EXACT = 64  # LR pixels; a tile of 256 with more than this on each side is mostly halo
_HALOS = (16, 32)
_TILE = 64
_UNSEEN = 1.0  # a difference of so many levels of 255 is as good as none
# 128 x 192 pixels of NASA's portrait of Eileen Collins, public domain (skimage.data.astronaut).
_PHOTOGRAPH = Path(__file__).parent / "photograph.png"


def with_halo(model: onnx.ModelProto, card: ModelCard) -> ModelCard:
    """Choose a halo and measure its error: the smallest that makes no visible difference, else the best.

    Args:
        model: the exported model; its own card is not looked at.
        card: the model's card; its receptive field is replaced.

    Returns:
        The card with the halo as its receptive field, and the error of tiles.
    """
    lr = photograph(card.colour).astype(np.float32) / np.float32(255)
    whole = _upscaled(model, card, lr, tile=max(lr.shape))
    tried = []
    for halo in _HALOS:
        tiled = _upscaled(model, card.model_copy(update={"receptive_field": halo}), lr, tile=_TILE)
        tried.append((float(np.abs(tiled - whole).max()) * 255, halo))
        if tried[-1][0] <= _UNSEEN:
            break
    error, halo = min(tried)
    return card.model_copy(update={"receptive_field": halo, "tile_error": round(error, 3)})


def photograph(colour: str) -> NDArray[np.uint8]:
    """A small real picture, ``rgb`` or ``y``, on which exports are looked at."""
    pixels = read_image(_PHOTOGRAPH).pixels
    return np.ascontiguousarray(pixels if colour == "rgb" else luma(pixels), np.uint8)


def _upscaled(model: onnx.ModelProto, card: ModelCard, lr: NDArray[np.float32], tile: int) -> NDArray[Any]:
    return Upscaler(model, tile=tile, card=card)(lr)
