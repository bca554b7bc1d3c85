"""The ways of enlarging that a line has, best first: its model, smaller models, bicubic, the frame as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sharpline.errors import UsageError
from sharpline.line.flow.reuse import Reuse
from sharpline.line.frame import Frame
from sharpline.pixels.imresize import imresize
from sharpline.runtime.catalog import Precision, list_models, open_model
from sharpline.runtime.colour_modes import halo_for
from sharpline.runtime.interpolation import KERNELS
from sharpline.runtime.network import EngineChoice
from sharpline.runtime.upscaler import Upscaler

Array = npt.NDArray[Any]
Region = tuple[int, int, int, int]  # left, top, width, height in the camera's pixels

PASSTHROUGH, BICUBIC = "passthrough", "bicubic"


class RegionError(UsageError):
    """A region lies outside the picture of its camera: that camera's settings are wrong, not the model."""


@dataclass(frozen=True)
class Rung:
    """One way of enlarging.

    Attributes:
        name: Name of the model, ``bicubic`` or ``passthrough``.
        model_hash: SHA-256 of the model file; empty for the others.
        scale: Enlargement.
        enlarge: H x W x C of a frame to H*scale x W*scale x C and the share of reused tiles.
        computed: Precision and engine, such as ``int8, compiled``; empty where there is no model.
    """

    name: str
    model_hash: str
    scale: int
    enlarge: Callable[[Frame], tuple[Array, float]]
    computed: str = ""


AS_IT_IS = Rung(PASSTHROUGH, "", 1, lambda frame: (frame.image, 0.0))


def bicubic(image: Array, scale: int) -> Array:
    """Enlarges by bicubic interpolation (Keys, a = -0.5), quickly: 8 bits through Pillow, which rounds between passes.

    Example:
        >>> bicubic(np.full((2, 3, 1), 7, np.uint8), 4).shape
        (8, 12, 1)
    """
    if image.dtype != np.uint8:
        return imresize(image, scale)
    height, width, channels = image.shape
    picture = Image.fromarray(image if channels == 3 else image[:, :, 0])
    big = picture.resize((width * scale, height * scale), Image.Resampling.BICUBIC)
    return np.asarray(big).reshape(height * scale, width * scale, channels)


def smaller_models(name: str) -> list[str]:
    """The embedded networks of the same scale with fewer parameters, largest first.

    Example:
        >>> smaller_models("edge-m-x4")
        ['edge-s-x4']
    """
    card = open_model(name).card
    known = [other for other in list_models() if other.scale == card.scale and other.name not in KERNELS]
    fewer = [other for other in known if (other.parameters or 0) < (card.parameters or 0)]
    return [other.name for other in sorted(fewer, key=lambda other: -(other.parameters or 0))]


def ladder_of(model: str, ladder: Sequence[str] | None) -> list[str]:
    """The ways of a line, best first.

    Args:
        model: The configured model.
        ladder: What follows it; None: smaller embedded models of its scale, ``bicubic``, ``passthrough``.

    Raises:
        ModelError: There is no such model.
        UsageError: The ladder has other scales than the model, or names something twice.

    Example:
        >>> ladder_of("edge-m-x4", None)
        ['edge-m-x4', 'edge-s-x4', 'bicubic', 'passthrough']
    """
    if ladder is None:
        names = dict.fromkeys([model, *smaller_models(model), BICUBIC, PASSTHROUGH])
        return list(names)
    scale = open_model(model).card.scale
    for name in ladder:
        if name not in (BICUBIC, PASSTHROUGH) and open_model(name).card.scale != scale:
            raise UsageError(f"flow.ladder: {name} does not enlarge {scale} times as {model} does")
    if len({model, *ladder}) <= len(ladder):
        raise UsageError(f"flow.ladder: each way once, and without the model ({model}), which comes first anyway")
    return [model, *ladder]


def model_hash(name: str, precision: Precision = "auto") -> str:
    """SHA-256 of a model's file, empty where there is no file.

    Example:
        >>> len(model_hash("edge-s-x4")), model_hash("bicubic")
        (64, '')
    """
    file = Path(open_model(name, precision=precision).source)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


class ModelRung:
    """A model on frames: with reused tiles, and on regions only where a camera has them.

    Args:
        upscaler: The model.
        regions: By camera, the rectangles that are worth the model's time. The rest of the picture is bicubic.
        tile: Side of the tiles that are reused, in camera pixels; 0 does not reuse.
        noise: See :class:`Reuse`.
    """

    def __init__(self, upscaler: Upscaler, regions: Mapping[str, Sequence[Region]], tile: int, noise: int) -> None:
        self._upscaler, self._regions, self._tile, self._noise = upscaler, regions, tile, noise
        self._reuses: dict[tuple[str, int, int], Reuse] = {}

    def __call__(self, frame: Frame) -> tuple[Array, float]:
        """See :attr:`Rung.enlarge`."""
        if not self._regions.get(frame.source):
            return self._part(frame, frame.image, 0)
        s, halo = self._upscaler.scale, halo_for(self._upscaler.card, frame.image.shape[2])
        height, width = frame.image.shape[:2]
        outside = [list(r) for r in self._regions[frame.source] if r[0] >= width or r[1] >= height]
        if outside:
            raise RegionError(f"region {outside[0]} lies outside the picture of {width} x {height} pixels")
        sr = bicubic(frame.image, s)
        sr = sr if sr.flags.writeable else sr.copy()
        shares = []
        for number, (x, y, w, h) in enumerate(self._regions[frame.source]):
            right, bottom = min(x + w, width), min(y + h, height)
            left, top = max(0, x - halo), max(0, y - halo)
            part, reused = self._part(frame, frame.image[top : bottom + halo, left : right + halo], number)
            inner = part[(y - top) * s : (bottom - top) * s, (x - left) * s : (right - left) * s]
            sr[y * s : bottom * s, x * s : right * s] = inner
            shares.append(reused)
        return sr, sum(shares) / len(shares)

    def _part(self, frame: Frame, image: Array, number: int) -> tuple[Array, float]:
        if not self._tile:
            return self._upscaler(image), 0.0
        key = (frame.source, number, image.shape[2])
        if key not in self._reuses:
            card = self._upscaler.card
            halo = halo_for(card, image.shape[2])
            self._reuses[key] = Reuse(
                self._upscaler,
                scale=card.scale,
                halo=halo,
                multiple=card.tile_multiple,
                tile=self._tile,
                noise=self._noise,
            )
        return self._reuses[key](image)


def make_rung(
    name: str,
    scale: int,
    *,
    threads: int | None,
    regions: Mapping[str, Sequence[Region]],
    tile: int,
    noise: int,
    engine: EngineChoice = "auto",
    precision: Precision = "auto",
) -> Rung:
    """Makes one way of enlarging; a model is opened.

    Raises:
        ModelError: The model cannot be used.
        UsageError: It is not there in this precision, or the engine is not installed.

    Example:
        >>> make_rung("passthrough", 4, threads=1, regions={}, tile=0, noise=0).scale
        1
    """
    if name == PASSTHROUGH:
        return AS_IT_IS
    if name == BICUBIC:
        return Rung(name, "", scale, lambda frame: (bicubic(frame.image, scale), 0.0))
    upscaler = Upscaler(name, scale=scale, engine=engine, threads=threads, precision=precision)
    enlarge = ModelRung(upscaler, regions, tile, noise)
    computed = f"{upscaler.card.precision}, {upscaler.engine_name}"
    return Rung(upscaler.card.name, model_hash(name, precision), scale, enlarge, computed)
