"""Decoded HR and LR pictures on disk, memory-mapped, so that decoding never slows a training step."""

from __future__ import annotations

import errno
import hashlib
import json
import math
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from sharpline.errors import SharplineError, UsageError
from sharpline.lab.data.decoding import Decoded, Grey, Making, Pixels, decode
from sharpline.lab.data.degradation import BICUBIC, Degradation
from sharpline.lab.data.files import Folders, Source, alone, as_list, paired
from sharpline.lab.data.parallel import in_order
from sharpline.pixels.names import one_line

_FORMAT = 2  # part of the cache's key: raise it when what is stored changes


@dataclass(frozen=True)
class PictureCache:
    """HR pictures and their LR versions.

    Attributes:
        names: file names.
        hr: uint8 arrays [H * scale, W * scale, 3] (views of a memory map); empty in a set of LR pictures.
        lr: uint8 arrays [H, W, 3].
        digest: SHA-256 over the names and contents of the source files, for the model card.
    """

    names: list[str]
    hr: list[Pixels]
    lr: list[Pixels]
    digest: str

    def __len__(self) -> int:
        return len(self.names)


def open_cache(
    folder: Folders,
    scale: int,
    cache_root: Path,
    *,
    lr: Folders | None = None,
    degradation: Degradation = BICUBIC,
    seed: int = 0,
    recursive: bool = False,
    grey: Grey = "repeat",
) -> PictureCache:
    """Decode a set of HR pictures once, keep it under ``cache_root``, and map it.

    Args:
        folder: HR pictures of any format that Sharpline reads, taken as 8-bit RGB; or several folders.
        scale: HR / LR. HR is cropped at the right and bottom to a multiple of it.
        cache_root: where caches live; one is made for each (file list, scale, way of making LR). Its
            ``index.json`` has size and SHA-256 of every file, and what the degradation drew.
        lr: folder of LR pictures (one for each HR folder), paired by stem, instead of making them.
        degradation: how LR is made.
        seed: of the degradation.
        recursive: also the folders below.
        grey: ``repeat`` grey pictures in three channels, or ``refuse`` them.

    Raises:
        UsageError: a folder that does not exist or holds no pictures, a picture without partner.
        ImageError: a picture that cannot be read, a pair whose sizes do not fit.
        SharplineError: the cache cannot be written (a full disk) or is damaged.
    """
    if lr is not None:
        sources = paired(folder, lr, scale, recursive=recursive)
    else:
        sources = [Source(name, hr=path) for name, path in alone(folder, recursive=recursive)]
    return _open(sources, as_list(folder), scale, Making(degradation, seed, grey), cache_root)


def open_lr_cache(folder: Folders, cache_root: Path, *, recursive: bool = False, grey: Grey = "repeat") -> PictureCache:
    """Decode a set of LR pictures that have no HR, for zero-shot and blind work.

    Args:
        folder: LR pictures, or several folders.
        cache_root: as for :func:`open_cache`.
        recursive: also the folders below.
        grey: ``repeat`` grey pictures in three channels, or ``refuse`` them.

    Returns:
        A cache whose ``hr`` is empty.

    Raises:
        UsageError, ImageError, SharplineError: as for :func:`open_cache`.
    """
    sources = [Source(name, lr=path) for name, path in alone(folder, recursive=recursive)]
    return _open(sources, as_list(folder), 1, Making(grey=grey), cache_root)


def _open(sources: list[Source], folders: list[Path], scale: int, making: Making, root: Path) -> PictureCache:
    stats = [[(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in s.files] for s in sources]
    kinds = [(source.name, source.hr is None, source.lr is None) for source in sources]
    how = [making.degradation.fingerprint(), making.seed, making.grey]
    key = hashlib.sha256(json.dumps([_FORMAT, scale, kinds, stats, how]).encode()).hexdigest()[:12]
    label = "+".join(folder.resolve().name for folder in folders)[:80]
    place = root / f"{label}-x{scale}-{key}"
    if not place.exists():
        _fill(place, sources, scale, making)
    return _map(place, scale)


def _fill(place: Path, sources: list[Source], scale: int, making: Making) -> None:
    """Make a cache under a temporary name; whoever comes second takes what the first one made."""
    done = in_order(partial(decode, scale=scale, making=making), sources)
    shown = track(done, f"decoding {place.name}", len(sources), console=Console(stderr=True))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place.parent, prefix=".filling-") as scratch:
            unfinished = Path(scratch) / "cache"
            unfinished.mkdir()
            index = _store(unfinished, sources, shown)
            about = {"scale": scale, "seed": making.seed, "degradation": making.degradation.model_dump(mode="json")}
            (unfinished / "index.json").write_text(json.dumps({**about, **index}, indent=1))
            unfinished.rename(place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not place.exists():
            raise SharplineError(
                f"{place.parent}: decoded pictures cannot be kept there ({one_line(error)}); "
                "make room, or choose another folder"
            ) from None


def _store(folder: Path, sources: list[Source], pictures: Iterable[Decoded]) -> dict[str, Any]:
    """Write the pixels of all pictures one behind the other; return the index."""
    digest = hashlib.sha256()
    entries = []
    with ExitStack() as open_files:
        hr_file, lr_file = (open_files.enter_context((folder / f"{kind}.bin").open("wb")) for kind in ("hr", "lr"))
        for source, picture in zip(sources, pictures, strict=True):
            if picture.hr is not None:
                hr_file.write(picture.hr.data)
            lr_file.write(picture.lr.data)
            hashes = [bytes.fromhex(file["sha256"]) for file in picture.files]
            digest.update(b"".join([source.name.encode("utf-8", "surrogateescape"), *hashes]))
            entry = {"name": source.name, "lr": picture.lr.shape[:2], "hr": picture.hr is not None}
            entries.append({**entry, "files": picture.files, "drawn": picture.drawn})
    return {"digest": digest.hexdigest(), "pictures": entries}


def _map(place: Path, scale: int) -> PictureCache:
    try:
        index = json.loads((place / "index.json").read_text())
        entries = index["pictures"]
        lr = _views(place / "lr.bin", [(*entry["lr"], 3) for entry in entries])
        shapes = [(entry["lr"][0] * scale, entry["lr"][1] * scale, 3) for entry in entries if entry["hr"]]
        hr = _views(place / "hr.bin", shapes)
        return PictureCache([entry["name"] for entry in entries], hr, lr, index["digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = one_line(error)
        raise UsageError(f"{place}: is no whole cache ({reason}); delete this folder, it is made anew") from None


def _views(file: Path, shapes: list[tuple[int, int, int]]) -> list[Pixels]:
    """The pictures in a file of pixels, as views of one memory map."""
    sizes = [math.prod(shape) for shape in shapes]
    if file.stat().st_size != sum(sizes):
        raise ValueError(f"{file.name} has {file.stat().st_size} bytes, not {sum(sizes)}")
    if not sizes:
        return []
    store = np.memmap(file, np.uint8, mode="r")
    stops = np.cumsum(sizes)
    return [store[stop - size : stop].reshape(shape) for stop, size, shape in zip(stops, sizes, shapes, strict=True)]
