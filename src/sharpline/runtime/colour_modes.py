"""Brings a picture's colour mode and depth to the network's, and the result back.

Only uint8 in the network's own colour mode runs on bytes, and the luma of uint8 pictures in an INT8 network of luma.
Every other picture runs in float32 from end to end, so that nothing is rounded to 8 bits on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sharpline.pixels.colour import rgb_to_ycbcr, ycbcr_to_rgb
from sharpline.pixels.imresize import imresize
from sharpline.runtime.card import ModelCard
from sharpline.runtime.network import Network

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]

_CHROMA_SUPPORT = 2  # LR pixels that bicubic interpolation looks to either side
# A grey value v is the luma of (v, v, v) whatever weights sum to 1; BT.601's are the ones that the field's
# metric uses, so a grey picture scores as it would have as an RGB picture of equal channels.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_LEVELS_PER_255 = {"uint8": 1.0, "uint16": 257.0, "float32": 1 / 255}


def halo_for(card: ModelCard, channels: int) -> int:
    """Radius in LR pixels that an output pixel of a picture with so many channels depends on.

    Example:
        >>> halo_for(ModelCard(name="m", scale=2, colour="y", receptive_field=1), 3)
        2
    """
    split = card.colour == "y" and channels == 3
    return max(card.receptive_field, _CHROMA_SUPPORT) if split else card.receptive_field


def runs_on_bytes(card: ModelCard, image: Array) -> bool:
    """Whether the network sees bytes of such a picture, and not floats.

    Integers round luma to 8 bits inside already: of a colour picture of 8 bits, bytes of luma lose them nothing more.

    Example:
        >>> card = ModelCard(name="m", scale=2, colour="y", receptive_field=1)
        >>> runs_on_bytes(card, np.zeros((4, 4, 1), np.uint8)), runs_on_bytes(card, np.zeros((4, 4, 3), np.uint8))
        (True, False)
    """
    own = image.shape[2] == card.channels or (card.colour == "y" and card.precision == "int8")
    return own and image.dtype == np.uint8


def conversion_bytes(card: ModelCard, image: Array) -> int:
    """Estimates the bytes for each LR pixel that a run outside the bytes path needs for its float copies.

    Example:
        >>> conversion_bytes(ModelCard(name="m", scale=2, colour="y", receptive_field=1), np.zeros((4, 4, 1), np.uint8))
        0
    """
    on_bytes = image.shape[2] == card.channels and image.dtype == np.uint8
    return 0 if on_bytes else 5 * 4 * max(image.shape[2], card.channels) * card.scale**2


def _to_levels(image: Array) -> Float32:
    """Levels 0..255 as float32."""
    levels: Float32 = image.astype(np.float32)
    if image.dtype != np.uint8:
        levels /= np.float32(_LEVELS_PER_255[image.dtype.name])
    return levels


def _from_levels(levels: Float32, dtype: np.dtype[Any]) -> Array:
    np.clip(levels, 0, 255, out=levels)
    if dtype != np.uint8:
        levels *= np.float32(_LEVELS_PER_255[dtype.name])
    if dtype.kind == "u":
        np.rint(levels, out=levels)
    return levels.astype(dtype, copy=False)


def _luma_only(network: Network, levels: Float32, *, on_bytes: bool) -> Float32:
    """RGB through a luma network: Y by the network, Cb and Cr by bicubic interpolation."""
    ycbcr = rgb_to_ycbcr(levels / np.float32(255))
    luma = ycbcr[:, :, :1] * np.float32(255)
    luma = network.run_bytes(np.rint(luma).astype(np.uint8)) if on_bytes else network.run_levels(luma)
    luma = luma.astype(np.float32) / np.float32(255)
    chroma = imresize(ycbcr[:, :, 1:], network.card.scale, kernel="bicubic")
    rgb: Float32 = ycbcr_to_rgb(np.concatenate([luma, chroma], axis=2))
    return rgb * np.float32(255)


def upscale_tile(network: Network, lr: Array) -> Array:
    """Upscales a picture, or a tile of one, in one run of the network.

    Args:
        network: The network.
        lr: h x w x 1 or h x w x 3; uint8, uint16, or float32 in [0, 1].

    Returns:
        h*s x w*s x C: the channels and the dtype of ``lr``.

    Raises:
        MemoryError: The tile is too large for the memory at hand.
        ModelError: The network failed.
    """
    native = lr.shape[2] == network.card.channels
    if native and lr.dtype == np.uint8:
        return network.run_bytes(lr)
    levels = _to_levels(lr)
    if native:
        sr = network.run_levels(levels)
    elif lr.shape[2] == 1:
        sr = (network.run_levels(levels.repeat(3, axis=2)) @ _LUMA)[:, :, None]
    else:
        sr = _luma_only(network, levels, on_bytes=runs_on_bytes(network.card, lr))
    return _from_levels(sr, lr.dtype)
