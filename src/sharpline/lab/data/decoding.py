"""From the files of one picture to its HR and LR pixels, as training takes them: 8-bit RGB."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sharpline.errors import ImageError
from sharpline.lab.data.degradation import BICUBIC, Degradation, degrade
from sharpline.lab.data.files import Source
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.names import one_line
from sharpline.pixels.reading import read_image

Pixels = NDArray[np.uint8]
Grey = Literal["repeat", "refuse"]


@dataclass(frozen=True)
class Making:
    """How the LR pictures of a set are made from HR, and what becomes of grey files.

    Attributes:
        degradation: from HR to LR.
        seed: of the degradation.
        grey: ``repeat`` a grey picture in three channels, or ``refuse`` it.
    """

    degradation: Degradation = BICUBIC
    seed: int = 0
    grey: Grey = "repeat"


@dataclass(frozen=True)
class Decoded:
    """One picture, ready for the cache.

    Attributes:
        hr: uint8 [H * scale, W * scale, 3], or None in a set of LR pictures.
        lr: uint8 [H, W, 3].
        files: path, bytes and SHA-256 of each file it was read from.
        drawn: what the degradation drew, step by step.
    """

    hr: Pixels | None
    lr: Pixels
    files: list[dict[str, Any]]
    drawn: list[dict[str, float | str]]


def decode(source: Source, scale: int, making: Making) -> Decoded:
    """Read one picture and make its LR version where there is none.

    Raises:
        ImageError: a file that cannot be read, a picture that is too small, a grey one that is refused, or a
            pair whose HR is not exactly ``scale`` times its LR.
    """
    files = [_identity(file) for file in source.files]
    if source.hr is None:
        assert source.lr is not None
        return Decoded(None, read_rgb(source.lr, making.grey), files, [])
    hr = read_rgb(source.hr, making.grey)
    if source.lr is not None:
        lr = read_rgb(source.lr, making.grey)
        if hr.shape[:2] != (lr.shape[0] * scale, lr.shape[1] * scale):
            raise ImageError(
                f"{source.lr}: {_size(lr)} LR pixels for {_size(hr)} of {source.hr}; "
                f"x{scale} needs exactly {lr.shape[1] * scale}x{lr.shape[0] * scale}"
            )
        return Decoded(hr, lr, files, [])
    hr = cropped(hr, scale, source.hr)
    lr, drawn = degrade(hr, making.degradation, scale, seed=making.seed, name=source.name)
    return Decoded(hr, np.ascontiguousarray(lr), files, drawn)


def read_rgb(path: Path, grey: Grey = "repeat") -> Pixels:
    """Read a picture as 8-bit RGB; deeper ones are rounded, alpha is left out.

    Returns:
        uint8 [H, W, 3], contiguous.

    Raises:
        ImageError: it cannot be read, or is grey and to be refused.
    """
    pixels = convert_depth(read_image(path).pixels, np.uint8)
    if pixels.shape[2] == 1 and grey == "refuse":
        raise ImageError(f"{path}: is grey; remove it, or let grey pictures be repeated in three channels")
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def cropped(hr: Pixels, scale: int, path: Path) -> Pixels:
    """The largest multiple of ``scale`` from the top left corner, contiguous.

    Raises:
        ImageError: there is none.
    """
    height, width = (n // scale * scale for n in hr.shape[:2])
    if min(height, width) == 0:
        raise ImageError(f"{path}: smaller than one LR pixel at x{scale}; remove it")
    return np.ascontiguousarray(hr[:height, :width])


def _identity(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return {"file": str(path), "bytes": file.tell(), "sha256": digest}
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({one_line(error)}); check the disk and the path") from None


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
