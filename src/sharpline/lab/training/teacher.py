"""A teacher's pictures: what a larger network makes of every training picture, made once and kept on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from sharpline.errors import UsageError
from sharpline.lab.data.cache import PictureCache
from sharpline.lab.data.decoding import Pixels
from sharpline.lab.networks import Network
from sharpline.lab.training.checkpoint import load_network
from sharpline.lab.training.validate import upscale
from sharpline.pixels.imresize import imresize
from sharpline.runtime.tiling import upscale_tiled

_TILE = 192  # LR pixels: the teacher's features stay in the cache


def open_taught(cache: PictureCache, checkpoint: Path, scale: int, root: Path, device: torch.device) -> list[Pixels]:
    """A teacher's output for each picture of a cache.

    Args:
        cache: the training pictures.
        checkpoint: the teacher's; an RGB network of the student's scale or a multiple of it. The pictures of
            one that enlarges more are shrunk by MATLAB's bicubic.
        scale: the student's.
        root: where caches live.
        device: where the teacher runs.

    Returns:
        uint8 arrays [H * scale, W * scale, 3], in the order of the cache.

    Raises:
        ModelError, UsageError: as :func:`load_teacher`.
    """
    net = load_teacher(checkpoint, scale)
    key = hashlib.sha256(checkpoint.read_bytes() + cache.digest.encode()).hexdigest()
    place = root / f"taught-x{scale}-{key[:12]}.bin"
    if not place.exists():
        _fill(place, net.to(device), cache, net.config.scale // scale)
    store, start, taught = np.memmap(place, np.uint8, mode="r"), 0, []
    for hr in cache.hr:
        taught.append(store[start : start + hr.size].reshape(hr.shape))
        start += hr.size
    return taught


def load_teacher(checkpoint: Path, scale: int) -> Network:
    """Load a teacher, or say why it cannot teach.

    Raises:
        ModelError: no such checkpoint, or not one of ours.
        UsageError: a teacher of a scale that does not fit, or of luma alone.
    """
    net, _ = load_network(checkpoint)
    if net.config.scale % scale or net.config.colour != "rgb":
        raise UsageError(
            f"{checkpoint}: a teacher of {net.config.colour} pictures at x{net.config.scale} "
            f"cannot teach rgb pictures at x{scale}"
        )
    return net


def _fill(place: Path, net: Network, cache: PictureCache, shrink: int) -> None:
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # Of a network that looks at the whole picture this is a choice: targets need not be exact.
    halo = min(net.receptive_field or 32, 32)
    with TemporaryDirectory(dir=place.parent, prefix=".filling-") as scratch:
        unfinished = Path(scratch) / place.name
        with unfinished.open("wb") as file:
            shown = track(cache.lr, "the teacher's pictures", console=Console(stderr=True))
            for lr, hr in zip(shown, cache.hr, strict=True):
                sr = np.empty(hr.shape, np.uint8)
                upscale_tiled(lr, sr, lambda part: _shrunk(upscale(net, part), shrink), tile=_TILE, halo=halo)
                file.write(sr.data)
        unfinished.replace(place)


def _shrunk(sr: Pixels, factor: int) -> Pixels:
    return sr if factor == 1 else imresize(sr, 1 / factor)
