"""Decoded HR and LR pictures on disk, memory-mapped, so that decoding never slows a training step."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from sharpline.errors import ImageError, UsageError
from sharpline.pixels.formats import INPUT_SUFFIXES
from sharpline.pixels.imresize import imresize
from sharpline.pixels.reading import read_image

Pixels = NDArray[np.uint8]
_FORMAT = 1  # part of the cache's key: raise it when what is stored changes


@dataclass(frozen=True)
class PictureCache:
    """HR pictures and their LR versions by MATLAB bicubic.

    Attributes:
        names: file names.
        hr: uint8 arrays [H * scale, W * scale, 3] (views of a memory map).
        lr: uint8 arrays [H, W, 3].
        digest: SHA-256 over the names and contents of the source files, for the model card.
    """

    names: list[str]
    hr: list[Pixels]
    lr: list[Pixels]
    digest: str

    def __len__(self) -> int:
        return len(self.names)


def open_cache(folder: Path, scale: int, cache_root: Path) -> PictureCache:
    """Decode a folder of pictures once, keep it under ``cache_root``, and map it.

    Args:
        folder: pictures of any format that Sharpline reads, as 8-bit RGB (grey is repeated).
        scale: LR is HR / scale; HR is cropped at the right and bottom to a multiple of it.
        cache_root: where caches live; one is made for each (file list, scale).

    Raises:
        UsageError: the folder does not exist or holds no pictures.
        ImageError: a picture that cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; is SHARPLINE_DATA (or --data) the folder with train/ in it?")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in INPUT_SUFFIXES)
    if not files:
        raise UsageError(f"{folder}: holds no pictures ({', '.join(sorted(INPUT_SUFFIXES))})")
    stamp = json.dumps([_FORMAT, scale, [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]])
    place = cache_root / f"{folder.name}-x{scale}-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    if not place.exists():
        _fill(place, files, scale)
    return _map(place, scale)


def _fill(place: Path, files: list[Path], scale: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    index = []
    with TemporaryDirectory(dir=place.parent, prefix=".filling-") as scratch:
        unfinished = Path(scratch) / "cache"
        unfinished.mkdir()
        with (unfinished / "hr.bin").open("wb") as hr_file, (unfinished / "lr.bin").open("wb") as lr_file:
            done = _degraded(files, scale)
            shown = track(done, f"decoding {files[0].parent}", len(files), console=Console(stderr=True))
            for path, (hr, lr) in zip(files, shown, strict=True):
                hr_file.write(hr.data)
                lr_file.write(lr.data)
                digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
                index.append({"name": path.name, "lr": lr.shape[:2]})
        (unfinished / "index.json").write_text(json.dumps({"digest": digest.hexdigest(), "pictures": index}))
        unfinished.rename(place)


def _degraded(files: list[Path], scale: int) -> Iterator[tuple[Pixels, Pixels]]:
    workers = min(os.cpu_count() or 1, 8)  # decoding and resizing let go of the interpreter's lock
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(files), workers):  # not all at once: results wait in memory
            some = files[first : first + workers]
            yield from pool.map(degrade_file, some, [scale] * len(some))


def degrade_file(path: Path, scale: int) -> tuple[Pixels, Pixels]:
    """Read one HR picture as 8-bit RGB and make its LR version.

    Returns:
        HR [H * scale, W * scale, 3] and LR [H, W, 3], uint8, contiguous.
    """
    pixels = read_image(path).pixels
    if pixels.dtype != np.uint8:
        raise ImageError(f"{path}: {pixels.dtype} pixels; training pictures must be 8-bit")
    height, width = (n // scale * scale for n in pixels.shape[:2])
    if min(height, width) == 0:
        raise ImageError(f"{path}: smaller than one LR pixel at x{scale}; remove it")
    hr = np.ascontiguousarray(np.broadcast_to(pixels[:height, :width], (height, width, 3)))
    return hr, np.ascontiguousarray(imresize(hr, 1 / scale))


def _map(place: Path, scale: int) -> PictureCache:
    index = json.loads((place / "index.json").read_text())
    stores = [np.memmap(place / f"{kind}.bin", np.uint8, mode="r") for kind in ("hr", "lr")]
    starts = [0, 0]
    pictures: tuple[list[Pixels], list[Pixels]] = ([], [])
    for entry in index["pictures"]:
        for kind, factor in enumerate((scale, 1)):
            shape = (entry["lr"][0] * factor, entry["lr"][1] * factor, 3)
            stop = starts[kind] + int(np.prod(shape))
            pictures[kind].append(stores[kind][starts[kind] : stop].reshape(shape))
            starts[kind] = stop
    names = [entry["name"] for entry in index["pictures"]]
    return PictureCache(names, pictures[0], pictures[1], index["digest"])
