"""Which pictures a set consists of: folders, and pairs of an HR and an LR file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from sharpline.errors import UsageError
from sharpline.pixels.formats import INPUT_SUFFIXES

Folders = Path | Sequence[Path]


@dataclass(frozen=True)
class Source:
    """The files of one picture of a set.

    Attributes:
        name: place below its folder (below the folder's name, where a set has several folders).
        hr: the HR file, or None in a set of LR pictures.
        lr: the LR file, or None where LR is made from HR.
    """

    name: str
    hr: Path | None = None
    lr: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The files there are."""
        return [file for file in (self.hr, self.lr) if file is not None]


def as_list(folders: Folders) -> list[Path]:
    """One folder or several, as a list."""
    return [folders] if isinstance(folders, PurePath) else list(folders)


def pictures_in(folder: Path, *, recursive: bool = False) -> list[str]:
    """Pictures of a folder, by suffix, hidden ones left out.

    Args:
        folder: the folder.
        recursive: also the folders below it.

    Returns:
        Their places below the folder (with ``/``), sorted.

    Raises:
        UsageError: no such folder, one that may not be entered, or no pictures.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; is SHARPLINE_DATA (or --data) the folder with train/ in it?")
    found = []
    for place, below, names in os.walk(folder, onerror=_refuse):
        below[:] = [name for name in below if recursive and not name.startswith(".")]
        files = [Path(place, name) for name in names if not name.startswith(".")]
        found += [file.relative_to(folder).as_posix() for file in files if file.suffix.lower() in INPUT_SUFFIXES]
    if not found:
        deeper = "" if recursive else "; the folders below it are not looked into"
        raise UsageError(f"{folder}: holds no pictures ({', '.join(sorted(INPUT_SUFFIXES))}){deeper}")
    return sorted(found)


def labels(folders: Sequence[Path]) -> list[str]:
    """What stands before a picture's name: nothing for one folder, else the folder's name, its path if two share it."""
    if len(folders) == 1:
        return [""]
    names = [folder.resolve().name for folder in folders]
    return [
        f"{name if names.count(name) == 1 else folder.as_posix()}/" for name, folder in zip(names, folders, strict=True)
    ]


def alone(folders: Folders, *, recursive: bool = False) -> list[tuple[str, Path]]:
    """Name and path of every picture of some folders, folder after folder.

    Raises:
        UsageError: no folder, or one without pictures.
    """
    places = as_list(folders)
    if not places:
        raise UsageError("a set of pictures needs a folder")
    return [
        (label + name, folder / name)
        for label, folder in zip(labels(places), places, strict=True)
        for name in pictures_in(folder, recursive=recursive)
    ]


def paired(hr: Folders, lr: Folders, scale: int, *, recursive: bool = False) -> list[Source]:
    """Pair HR and LR files by their stems; an LR stem may end in the scale (``0001x4``, ``baby_x4``).

    Args:
        hr: folder of HR pictures, or several.
        lr: folder of LR pictures, as many, in the same order.
        scale: HR / LR.
        recursive: also the folders below; a pair has the same place in both.

    Raises:
        UsageError: a picture without partner, two with one stem, different numbers of folders.
    """
    hr_folders, lr_folders = as_list(hr), as_list(lr)
    if not hr_folders or len(hr_folders) != len(lr_folders):
        raise UsageError(
            f"{len(hr_folders)} HR and {len(lr_folders)} LR folders: give one LR folder for each HR folder"
        )
    sources = []
    for label, big, small in zip(labels(hr_folders), hr_folders, lr_folders, strict=True):
        originals = _by_stem(big, pictures_in(big, recursive=recursive), {}, scale)
        partners = _by_stem(small, pictures_in(small, recursive=recursive), originals, scale)
        for stem, name in partners.items():
            if stem not in originals:
                raise UsageError(f"{small / name}: has no HR picture in {big}; the stems have to be the same")
        for stem, name in originals.items():
            if stem not in partners:
                raise UsageError(f"{big / name}: has no LR picture in {small}; the stems have to be the same")
            sources.append(Source(label + name, big / name, small / partners[stem]))
    return sources


def _by_stem(folder: Path, names: list[str], originals: dict[str, str], scale: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        stem = name[: len(name) - len(Path(name).suffix)]
        bare = re.sub(rf"[_-]?[xX]{scale}$", "", stem)
        key = bare if stem not in originals and bare in originals else stem
        if key in found:
            raise UsageError(f"{folder / found[key]} and {folder / name} have the same stem; keep one of them")
        found[key] = name
    return found


def _refuse(error: OSError) -> None:
    raise UsageError(f"{error.filename}: cannot be looked into ({error.strerror})")
