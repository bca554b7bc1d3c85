"""Classical interpolation behind the same interface as the networks: the floor that every network has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sharpline.pixels.imresize import Kernel, imresize
from sharpline.runtime.card import ModelCard

Array = npt.NDArray[Any]

KERNELS: dict[str, Kernel] = {"bicubic": "bicubic", "lanczos": "lanczos3"}
_SUPPORT = {"bicubic": 2, "lanczos": 3}
DEFAULT_SCALE = 4


def interpolation_card(name: str, scale: int) -> ModelCard:
    """The card of ``bicubic`` or ``lanczos`` at a scale.

    Example:
        >>> interpolation_card("bicubic", 3).scale
        3
    """
    return ModelCard(
        name=name,
        version="1",
        scale=scale,
        colour="rgb",
        receptive_field=_SUPPORT[name],
        training_data="none",
        licence="Apache-2.0",
        parameters=0,
        description=f"{name} interpolation, nothing learned; any scale, any colour mode",
    )


def interpolate(image: Array, card: ModelCard) -> Array:
    """Enlarges a picture as MATLAB's ``imresize`` does.

    Args:
        image: H x W x C; uint8, uint16, or float32 in [0, 1].
        card: Card of ``bicubic`` or ``lanczos``.

    Returns:
        H*s x W*s x C, same dtype, floats clipped to [0, 1].

    Example:
        >>> interpolate(np.full((2, 2, 1), 7, np.uint8), interpolation_card("bicubic", 2)).shape
        (4, 4, 1)
    """
    sr: Array = imresize(image, card.scale, kernel=KERNELS[card.name])
    return np.clip(sr, 0, 1, out=sr) if sr.dtype.kind == "f" else sr
