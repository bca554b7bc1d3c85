"""The Python interface: an object that makes small pictures large."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import onnx

from sharpline.errors import ImageError, UsageError
from sharpline.runtime.autotile import SMALLEST_TILE, available_memory, fastest_tile, largest_area
from sharpline.runtime.card import ModelCard
from sharpline.runtime.catalog import ModelSource, Precision, open_model
from sharpline.runtime.colour_modes import conversion_bytes, halo_for, runs_on_bytes, upscale_tile
from sharpline.runtime.engines import ENGINES, available_threads
from sharpline.runtime.interpolation import interpolate
from sharpline.runtime.network import EngineChoice, Network
from sharpline.runtime.tiling import Progress, upscale_tiled

Array = npt.NDArray[Any]
_OVERSHOOT = 1e-3  # floats this far outside [0, 1] are the noise of earlier arithmetic, not another range


def _as_image(image: Array) -> Array:
    """Checks an array and gives it as H x W x C in the machine's byte order."""
    if not isinstance(image, np.ndarray):
        raise UsageError(f"an image is a numpy array, not {type(image).__name__}; use sharpline.read_image for files")
    dtype = image.dtype.newbyteorder("=")
    if dtype not in (np.uint8, np.uint16, np.float32):
        raise UsageError(f"an image has uint8, uint16 or float32 pixels, not {image.dtype}; convert it with .astype")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
        raise UsageError(
            f"an image is H x W, H x W x 1 or H x W x 3, not {' x '.join(map(str, image.shape)) or 'a scalar'}; "
            "upscale alpha apart (upscale_picture does)"
        )
    if image.size == 0:
        raise ImageError(f"the image is empty ({image.shape[0]} x {image.shape[1]} pixels)")
    if dtype == np.float32:
        low, high = float(image.min()), float(image.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ImageError("the image has NaN or infinite pixels; replace them first (numpy.nan_to_num)")
        if low < -_OVERSHOOT or high > 1 + _OVERSHOOT:
            raise ImageError(f"float pixels are to be in 0..1, these go from {low:g} to {high:g}; scale them first")
    return (image if image.ndim == 3 else image[:, :, None]).astype(dtype, copy=False)


def _checked_count(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name} has to be a whole number of at least {least}, not {value!r}")
    return value


class Enlarges(Protocol):
    """What files and pictures are enlarged with: an :class:`Upscaler`, or what learns from each picture."""

    @property
    def card(self) -> ModelCard:
        """What it says about itself."""

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each side."""

    @property
    def engine_name(self) -> str:
        """What computes."""

    def __call__(self, image: Array, *, progress: Progress | None = None) -> Array:
        """Enlarges H x W x C, or H x W of alpha."""


def engine_of(upscaler: Enlarges, image: Array) -> str:
    """What computes such a picture.

    Example:
        >>> engine_of(Upscaler("bicubic", scale=2), np.zeros((4, 4, 3), np.uint8))
        'numpy'
    """
    return upscaler.engine_for(image) if isinstance(upscaler, Upscaler) else upscaler.engine_name


class Upscaler:
    """Upscales pictures with one model. May be called from many threads at once.

    Args:
        model: Name of an embedded network (``sharpline models`` lists them), ``bicubic``, ``lanczos``, the path of
            an ``.onnx`` file, or the ONNX model itself.
        scale: The scale that is wanted, to be sure; None takes the model's own. Interpolation takes any, 1..16.
        engine: ``auto`` (the compiled variant of an INT8 network where there is one for this processor, else ONNX
            Runtime), ``compiled``, ``ort`` or ``openvino``.
        threads: Threads within one call; None takes all cores that the process may use.
        tile: Side of a tile in LR pixels, or ``auto``: by free memory and measured speed. Does not change the
            result, or by no more than about the card's ``tile_error``, where the card has one.
        precision: ``auto``, ``int8`` or ``fp32``. An embedded network is taken in integers unless floats are asked
            for; a file has to be in the precision that is named.
        card: Card fields for a model file that carries none.

    Raises:
        ModelError: The model cannot be found or used.
        UsageError: An argument that cannot be meant.

    Example:
        >>> import numpy as np
        >>> from sharpline.runtime.upscaler import Upscaler
        >>> upscale = Upscaler("bicubic", scale=2)
        >>> upscale(np.zeros((30, 40, 3), np.uint8)).shape
        (60, 80, 3)
    """

    def __init__(
        self,
        model: ModelSource = "edge-m-x4",
        *,
        scale: int | None = None,
        engine: EngineChoice = "auto",
        threads: int | None = None,
        tile: int | Literal["auto"] = "auto",
        precision: Precision = "auto",
        card: ModelCard | Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(model, (str, os.PathLike, onnx.ModelProto)):
            raise UsageError(f"model is a name, the path of a file or an ONNX model, not {model!r}")
        if engine != "auto" and engine not in ENGINES:
            raise UsageError(f"unknown engine '{engine}': use auto, {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")
        count = available_threads() if threads is None else _checked_count("threads", threads, 1)
        self._tile = None if tile == "auto" else _checked_count("tile", tile, 1)
        found = open_model(model, scale=scale, precision=precision, card=card)
        self._card = found.card
        self._network: Network | None = None
        if found.graph is not None:
            self._network = Network(found.card, found.graph, engine, count, found.source)
            self._engine_name: str = self._network.engine_name
        else:
            self._engine_name = "numpy"
        self._tuned: dict[int, int] = {}  # fastest tile by halo
        self._lock = threading.Lock()

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._card

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each side."""
        return self._card.scale

    @property
    def engine_name(self) -> str:
        """``compiled``, ``ort``, ``openvino``, or ``numpy`` for interpolation: what runs bytes."""
        return self._engine_name

    def engine_for(self, image: Array) -> str:
        """What runs such a picture: 16 bits and floats have no place in ``compiled``."""
        if self._network is None or runs_on_bytes(self._card, _as_image(image)):
            return self._engine_name
        return self._network.float_engine_name

    def __call__(self, image: Array, *, progress: Progress | None = None) -> Array:
        """Upscales a picture.

        Args:
            image: H x W x 3, H x W x 1 or H x W; uint8, uint16, or float32 in [0, 1]. Not changed.
            progress: Called with (tiles done, tiles in total) after each tile.

        Returns:
            H*s x W*s x C (or H*s x W*s for a 2-D image), of the same dtype.

        Raises:
            ImageError: The image is empty, has NaN or is out of range, or the memory does not suffice.
            ModelError: The model failed.
            UsageError: The array is not an image.
        """
        lr = _as_image(image)
        height, width, channels = lr.shape
        try:
            sr = (
                self._interpolated(lr, progress)
                if self._network is None
                else self._upscaled(lr, self._network, progress)
            )
        except MemoryError as error:
            raise ImageError(
                f"not enough memory to enlarge {width} x {height} pixels {self.scale} times (the result alone takes "
                f"{height * width * channels * lr.itemsize * self.scale**2 / 1e9:.1f} GB); cut the picture into parts"
            ) from error
        return sr if image.ndim == 3 else sr[:, :, 0]

    def _interpolated(self, lr: Array, progress: Progress | None) -> Array:
        sr = interpolate(lr, self._card)
        if progress is not None:
            progress(1, 1)
        return sr

    def _upscaled(self, lr: Array, network: Network, progress: Progress | None) -> Array:
        longest = max(lr.shape[:2])
        tile = self._tile or self._automatic_tile(network, lr, halo_for(self._card, lr.shape[2]))
        while True:
            try:
                return self._in_tiles(lr, network, tile, progress)
            except MemoryError:
                if min(tile, longest) <= SMALLEST_TILE:
                    raise
                tile = max(SMALLEST_TILE, min(tile, longest) // 2)

    def _in_tiles(self, lr: Array, network: Network, tile: int, progress: Progress | None) -> Array:
        (height, width, channels), multiple = lr.shape, self._card.tile_multiple
        if max(height, width) <= tile and height % multiple == width % multiple == 0:
            sr = upscale_tile(network, lr)  # in one piece: it is the result, there is nothing to copy it into
            if progress is not None:
                progress(1, 1)
            return sr
        sr = np.empty((height * self.scale, width * self.scale, channels), lr.dtype)
        halo = halo_for(self._card, channels)
        upscale_tiled(
            lr,
            sr,
            lambda part: upscale_tile(network, part),
            tile=tile,
            halo=halo,
            multiple=multiple,
            progress=progress,
        )
        return sr

    def _automatic_tile(self, network: Network, lr: Array, halo: int) -> int:
        """The whole picture where one run can hold it, else the fastest tile, measured once."""
        bytes_per_pixel, memory = network.bytes_per_pixel(lr) + conversion_bytes(self._card, lr), available_memory()
        area = largest_area(bytes_per_pixel, memory)
        exact = self._card.tile_error is None  # what tiles would change is cut only when the memory is not there
        if lr.shape[0] * lr.shape[1] <= (area if exact else memory / 2 / bytes_per_pixel):
            return int(max(lr.shape))
        with self._lock:
            if halo not in self._tuned:
                self._tuned[halo] = fastest_tile(lambda side: _timed_run(network, side), halo, area)
            largest = max(SMALLEST_TILE, math.isqrt(area) - 2 * halo)
            return min(self._tuned[halo], largest)


def _timed_run(network: Network, side: int) -> float:
    card = network.card
    side = -(-side // card.tile_multiple) * card.tile_multiple
    lr = np.random.default_rng(0).integers(0, 256, (side, side, card.channels), dtype=np.uint8)
    begin = time.perf_counter()
    network.run_bytes(lr)
    return time.perf_counter() - begin
