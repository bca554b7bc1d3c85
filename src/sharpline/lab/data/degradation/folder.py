"""Apply a degradation to the pictures of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sharpline.errors import ImageError, SharplineError, UsageError
from sharpline.lab.data.degradation.recipe import Degradation, degrade
from sharpline.lab.data.files import pictures_in
from sharpline.lab.data.parallel import in_order
from sharpline.pixels.picture import Array, Metadata, Picture
from sharpline.pixels.reading import read_image
from sharpline.pixels.writing import write_image


@dataclass
class Job:
    """One picture to degrade, and what became of it.

    Attributes:
        name: place below the input folder.
        source: file to read.
        target: PNG to write.
        error: one line, or None if the target was written.
        hr_size: width and height of the HR picture after cropping to a multiple of the scale.
        lr_size: width and height written.
        drawn: what the degradation drew, step by step.
        crops: a piece of HR [C * scale, C * scale, 3 or 1] and the same piece of LR, where they were asked for.
    """

    name: str
    source: Path
    target: Path
    error: str | None = None
    hr_size: tuple[int, int] | None = None
    lr_size: tuple[int, int] | None = None
    drawn: list[dict[str, float | str]] = field(default_factory=list)
    crops: tuple[Array, Array] | None = None


def plan(folder: Path, output: Path, *, recursive: bool = False, overwrite: bool = False) -> list[Job]:
    """Decide what is read and written, before any work is done.

    Args:
        folder: HR pictures.
        output: where LR goes, as PNG under the same names.
        recursive: also the folders below, at the same places below ``output``.
        overwrite: existing files may be replaced, except those that are read.

    Raises:
        UsageError: no pictures, two that would have one name, a target that exists or is an input.
    """
    names = pictures_in(folder, recursive=recursive)
    jobs = [Job(name, folder / name, (output / name).with_suffix(".png")) for name in names]
    sources = {os.path.realpath(job.source) for job in jobs}
    seen: dict[Path, Job] = {}
    for job in jobs:
        if job.target in seen:
            raise UsageError(f"{job.source} and {seen[job.target].source} would both become {job.target}; rename one")
        if os.path.realpath(job.target) in sources:
            raise UsageError(f"{job.target}: is an input; the input is never replaced, choose another output folder")
        if os.path.lexists(job.target) and not overwrite:
            raise UsageError(f"{job.target}: exists already; --overwrite replaces it")
        seen[job.target] = job
    return jobs


def run(
    jobs: list[Job], recipe: Degradation, scale: int, *, seed: int = 0, overwrite: bool = False, crop: int = 0
) -> Iterator[Job]:
    """Degrade and write. A picture that fails has an error, and the others go on.

    Args:
        jobs: from :func:`plan`.
        recipe: the degradation.
        scale: HR / LR; HR is cropped at the right and bottom to a multiple of it.
        seed: of the whole set.
        overwrite: replace existing files.
        crop: side in LR pixels of a piece from the middle that is kept for a contact sheet, 0 for none.

    Yields:
        The jobs in order, filled in.

    Raises:
        UsageError: the recipe does not end at the LR size.
    """
    yield from in_order(partial(_make, recipe=recipe, scale=scale, seed=seed, overwrite=overwrite, crop=crop), jobs)


def _make(job: Job, recipe: Degradation, scale: int, seed: int, overwrite: bool, crop: int) -> Job:
    try:
        picture = read_image(job.source)
        if picture.transparent:
            raise ImageError(f"{job.source}: has transparent parts, which a camera has not; flatten it first")
        height, width = (n // scale * scale for n in picture.pixels.shape[:2])
        if min(height, width) == 0:
            raise ImageError(f"{job.source}: smaller than one LR pixel at x{scale}")
        hr = picture.pixels[:height, :width]
        lr, job.drawn = degrade(hr, recipe, scale, seed=seed, name=job.name)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        write_image(job.target, Picture(lr, metadata=Metadata(icc=picture.metadata.icc)), overwrite=overwrite)
    except UsageError:
        raise  # the recipe's fault, the same for every picture
    except (SharplineError, OSError) as error:
        job.error = str(error)
        return job
    job.hr_size, job.lr_size = (width, height), (lr.shape[1], lr.shape[0])
    if crop:
        job.crops = _middle(hr, crop * scale, scale), _middle(lr, crop, 1)
    return job


def _middle(pixels: Array, side: int, multiple: int) -> Array:
    """A copy of a square from the middle, its corner at a multiple of the scale."""
    top, left = (max(0, n - side) // (2 * multiple) * multiple for n in pixels.shape[:2])
    return pixels[top : top + side, left : left + side].copy()
