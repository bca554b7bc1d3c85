"""Scores of two models on a set of pictures: means, the worst picture, the worst patches and where they are."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sharpline.errors import UsageError
from sharpline.pixels.colour import luma
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.imresize import imresize
from sharpline.pixels.metrics import PROTOCOL, psnr, psnr_y, ssim_y
from sharpline.pixels.niqe import niqe
from sharpline.pixels.picture import Array
from sharpline.runtime.certificate.document import Scores, SetScores, Worst, WorstPatches
from sharpline.runtime.evaluation import as_seen, pictures_in, sample, sees_luma
from sharpline.runtime.upscaler import Upscaler

PATCH = 32  # side of a patch in HR pixels
_WORST_SHARE = 0.01
_FINITE = 100.0  # dB that equal pictures count as in a mean

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Place:
    """A patch of a set: its picture, and its top left corner in HR pixels."""

    path: Path
    top: int
    left: int


@dataclass(frozen=True)
class Comparison:
    """What a set said of two models.

    Attributes:
        scores: for the certificate.
        worst: patches that lost most, worst first, of different pictures where there are several.
    """

    scores: SetScores
    worst: list[Place]


def compare(
    before: Upscaler, after: Upscaler, folder: Path, *, niqe_file: Path | None = None, progress: Progress | None = None
) -> Comparison:
    """Score two models of one scale on the same pictures.

    Args:
        before: what it was.
        after: what became of it.
        folder: HR pictures.
        niqe_file: NIQE's parameters; None leaves it out.
        progress: called with (pictures done, pictures in all).

    Raises:
        UsageError: models of different scales, a folder without pictures.
    """
    if before.scale != after.scale:
        raise UsageError(f"{before.card.name} enlarges {before.scale} times, {after.card.name} {after.scale} times")
    paths, luma_only = pictures_in(folder), sees_luma(before)
    digest, rows, patches = hashlib.sha256(), [], _Patches()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        lr, hr = sample(path, before.scale, luma_only=luma_only)
        seen = [as_seen(upscaler, lr) for upscaler in (before, after)]
        pair = [before(seen[0]), after(seen[1])]
        rows.append([_scored(sr, lr, hr, before.scale, niqe_file) for sr, lr in zip(pair, seen, strict=True)])
        patches.add(path, [_squared_errors(sr, hr, before.scale) for sr in pair], before.scale)
        if progress is not None:
            progress(len(rows), len(paths))
    means = [_mean([row[which] for row in rows]) for which in (0, 1)]
    drops = [b.psnr_y - a.psnr_y for b, a in rows]
    worst = int(np.argmax(drops))
    scores = SetScores(
        sha256=digest.hexdigest(),
        pictures=len(paths),
        protocol=f"{PROTOCOL}; luma alone, low resolution not rounded (INT8: in bytes)" if luma_only else PROTOCOL,
        before=means[0],
        after=means[1],
        worst=Worst(name=paths[worst].stem, before=rows[worst][0].psnr_y, after=rows[worst][1].psnr_y),
        worst_patches=patches.worst(),
    )
    return Comparison(scores, patches.places())


class _Patches:
    """The errors of both models on every patch of a set."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._errors: list[tuple[float, float]] = []

    def add(self, path: Path, errors: Sequence[npt.NDArray[np.float64]], border: int) -> None:
        before, after = (_patch_means(e) for e in errors)
        for (row, column), value in np.ndenumerate(before):
            self._places.append(Place(path, border + int(row) * PATCH, border + int(column) * PATCH))
            self._errors.append((float(value), float(after[row, column])))

    def _order(self) -> list[int]:
        """Patches by their loss in dB, most first; one level of noise keeps flat patches from deciding."""
        errors = np.array(self._errors).reshape(-1, 2) + 1
        return [int(i) for i in np.argsort(np.log(errors[:, 0]) - np.log(errors[:, 1]), kind="stable")]

    def worst(self) -> WorstPatches:
        order = self._order()
        count = min(len(order), max(1, math.ceil(_WORST_SHARE * len(order))))
        chosen = np.array([self._errors[i] for i in order[:count]]).reshape(-1, 2)
        before, after = (_decibels(float(e)) for e in chosen.mean(axis=0)) if count else (_FINITE, _FINITE)
        return WorstPatches(side=PATCH, count=count, before=before, after=after)

    def places(self, count: int = 3) -> list[Place]:
        found: dict[Path, Place] = {}
        for i in self._order():
            found.setdefault(self._places[i].path, self._places[i])
            if len(found) == count:
                break
        return list(found.values())


def _patch_means(errors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean over whole patches, H // 32 x W // 32; a smaller picture is one patch."""
    rows, columns = (n // PATCH for n in errors.shape)
    if not (rows and columns):
        return np.full((1, 1), errors.mean())
    whole = errors[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH)
    means: npt.NDArray[np.float64] = whole.mean(axis=(1, 3))
    return means


def _squared_errors(sr: Array, hr: Array, border: int) -> npt.NDArray[np.float64]:
    """Squared errors of luma in levels of 255, the border left out."""
    a, b = (luma(convert_depth(image, np.uint8))[border:-border, border:-border, 0].astype(float) for image in (sr, hr))
    errors: npt.NDArray[np.float64] = (a - b) ** 2
    return errors


def _scored(sr: Array, lr: Array, hr: Array, scale: int, niqe_file: Path | None) -> Scores:
    return Scores(
        psnr_y=min(psnr_y(sr, hr, scale), _FINITE),
        ssim_y=ssim_y(sr, hr, scale),
        consistency=consistency(sr, lr),
        niqe=None if niqe_file is None else _niqe(sr, niqe_file),
    )


def consistency(sr: Array, lr: Array) -> float:
    """PSNR in dB between an enlarged picture, shrunk by MATLAB's bicubic, and what it was made from; at most 100.

    Args:
        sr: H*s x W*s x C, uint8, uint16 or float32.
        lr: H x W x C of the same dtype.

    Example:
        >>> grey = np.full((8, 8, 1), 100, np.uint8)
        >>> consistency(grey.repeat(4, 0).repeat(4, 1), grey)
        100.0
    """
    return min(psnr(imresize(sr, size=lr.shape[:2]), lr), _FINITE)


def _niqe(sr: Array, parameters: Path) -> float | None:
    try:
        return niqe(sr, parameters)
    except UsageError:  # too small, or flat
        return None


def _mean(scores: Sequence[Scores]) -> Scores:
    natural = [s.niqe for s in scores if s.niqe is not None]
    return Scores(
        psnr_y=float(np.mean([s.psnr_y for s in scores])),
        ssim_y=float(np.mean([s.ssim_y for s in scores])),
        consistency=float(np.mean([s.consistency for s in scores])),
        niqe=float(np.mean(natural)) if natural else None,
    )


def _decibels(mean_squared_error: float) -> float:
    return min(_FINITE, 10 * math.log10(255**2 / mean_squared_error)) if mean_squared_error > 0 else _FINITE
