"""Scores a model, or pictures made elsewhere, against high-resolution originals by the field's protocol."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sharpline.errors import ImageError, ModelError, SharplineError, UsageError
from sharpline.pixels.colour import luma
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.formats import INPUT_SUFFIXES
from sharpline.pixels.imresize import imresize
from sharpline.pixels.metrics import PROTOCOL, psnr_y, ssim_y
from sharpline.pixels.picture import Array
from sharpline.pixels.reading import read_image
from sharpline.runtime.ensemble import SelfEnsemble
from sharpline.runtime.interpolation import KERNELS


class Upscales(Protocol):
    """Anything that turns an H x W x C image into one ``scale`` times larger: an ``Upscaler``, a function."""

    @property
    def scale(self) -> int:
        """The upscaling factor."""

    def __call__(self, image: Array, /) -> Array:
        """Upscales an image; channels and dtype stay."""


@dataclass(frozen=True)
class ImageScore:
    """The scores of one picture.

    Args:
        name: Stem of the original's file name.
        psnr_y: PSNR of luma in dB; infinity for equal pictures.
        ssim_y: SSIM of luma.
    """

    name: str
    psnr_y: float
    ssim_y: float


@dataclass(frozen=True)
class Evaluation:
    """The scores of a set of pictures.

    Args:
        model: Name of what made the pictures.
        scale: Upscaling factor.
        protocol: What was measured, in words.
        psnr_y: Mean over the pictures of their PSNR of luma, in dB.
        ssim_y: Mean over the pictures of their SSIM of luma.
        images: One score a picture, sorted by name.
    """

    model: str
    scale: int
    protocol: str
    psnr_y: float
    ssim_y: float
    images: list[ImageScore]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the infinite PSNR of equal pictures, which JSON does not know, becomes None.

        Returns:
            The keys model, scale, protocol, psnr_y, ssim_y, and images: a list of {name, psnr_y, ssim_y}.

        Example:
            >>> from sharpline.runtime.evaluation import Evaluation, ImageScore
            >>> score = ImageScore("baby", 33.9, 0.91)
            >>> Evaluation("edge-m-x4", 4, "Y", 33.9, 0.91, [score]).to_dict()["images"]
            [{'name': 'baby', 'psnr_y': 33.9, 'ssim_y': 0.91}]
        """
        images = [{"name": i.name, "psnr_y": _finite(i.psnr_y), "ssim_y": i.ssim_y} for i in self.images]
        return {
            "model": self.model,
            "scale": self.scale,
            "protocol": self.protocol,
            "psnr_y": _finite(self.psnr_y),
            "ssim_y": self.ssim_y,
            "images": images,
        }


Progress = Callable[[int, int, ImageScore], None]


def evaluate_model(
    upscaler: Upscales,
    hr_dir: str | Path,
    scale: int,
    *,
    luma_only: bool | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Scores a model: every original is shrunk by MATLAB's bicubic, upscaled by the model, and compared.

    The original is cropped to a multiple of ``scale``; grey originals go through the model as one channel.

    Args:
        upscaler: Takes uint8 H x W x C and gives uint8; float32 in [0, 1] both ways with ``luma_only``.
        hr_dir: Folder of original pictures.
        scale: Upscaling factor; the upscaler's own.
        luma_only: Hand the model luma alone, shrunk without rounding: the recipe behind the published rows of
            bicubic and of the networks that work on Y (SRCNN, VDSR); INT8 ones see it rounded to the bytes that they
            are made for. Otherwise the model sees uint8 pictures.
            None does so for those networks and for interpolation, which have no other rows to be compared with.
        progress: Called after each picture with (pictures done, pictures in all, its score).

    Returns:
        The mean scores and those of each picture.

    Raises:
        UsageError: The scale is not the upscaler's, the folder is missing or without pictures.
        ImageError: A picture cannot be read, or is too small to be scored.
        ModelError: The upscaler's output has the wrong size.

    Example:
        >>> from sharpline.runtime.evaluation import evaluate_model
        >>> from sharpline.runtime.upscaler import Upscaler
        >>> evaluate_model(Upscaler("edge-m-x4"), "Set5", 4).psnr_y  # doctest: +SKIP
        31.2...
    """
    if upscaler.scale != scale:
        raise UsageError(f"the model upscales by {upscaler.scale}, not by {scale}: evaluate it at its own scale")
    if luma_only is None:
        luma_only = sees_luma(upscaler)
    paths = pictures_in(Path(hr_dir))
    scores = []
    for path in paths:
        lr, hr = sample(path, scale, luma_only=luma_only)
        sr = upscaler(as_seen(upscaler, lr))
        if sr.shape != hr.shape:
            raise ModelError(f"the model made {_size(sr)} of {path}, not {_size(hr)}: its scale or channels are wrong")
        scores.append(_score(path, sr, hr, scale))
        if progress is not None:
            progress(len(scores), len(paths), scores[-1])
    recipe = f"{PROTOCOL}; luma alone, low resolution not rounded (INT8: in bytes)" if luma_only else PROTOCOL
    if isinstance(upscaler, SelfEnsemble):
        recipe += "; geometric self-ensemble of 8"
    return _summary(_name(upscaler), scale, recipe, scores)


def evaluate_pairs(
    sr_dir: str | Path, hr_dir: str | Path, scale: int, *, progress: Progress | None = None
) -> Evaluation:
    """Scores upscaled pictures that were made elsewhere.

    A pair has the same stem, or the upscaled one ends in the scale: ``baby.png`` with ``baby_x4.webp``,
    ``baby-x4.png`` or ``babyx4.png``. The original is cropped to a multiple of ``scale``.

    Args:
        sr_dir: Folder of upscaled pictures.
        hr_dir: Folder of original pictures.
        scale: Upscaling factor; also the border that is left out.
        progress: Called after each picture with (pictures done, pictures in all, its score).

    Returns:
        The mean scores and those of each picture; the model's name is that of ``sr_dir``.

    Raises:
        UsageError: A folder is missing or without pictures, a picture has no partner or two.
        ImageError: A picture cannot be read, is too small, or the two of a pair differ in size or channels.

    Example:
        >>> from sharpline.runtime.evaluation import evaluate_pairs
        >>> evaluate_pairs("results/Set5", "Set5", 4).to_dict()["psnr_y"]  # doctest: +SKIP
        31.2...
    """
    pairs = _pairs(pictures_in(Path(sr_dir)), pictures_in(Path(hr_dir)), scale)
    scores = []
    for sr_path, hr_path in pairs:
        original = read_image(hr_path).pixels
        hr = _crop(original, scale, hr_path)
        sr = _as_grey(read_image(sr_path).pixels) if hr.shape[2] == 1 else read_image(sr_path).pixels
        if sr.shape == original.shape:
            sr = sr[: hr.shape[0], : hr.shape[1]]
        if sr.shape != hr.shape:
            raise ImageError(f"{sr_path} is {_size(sr)}, but {hr_path} asks for {_size(hr)}: upscale it again")
        scores.append(_score(hr_path, sr, hr, scale))
        if progress is not None:
            progress(len(scores), len(pairs), scores[-1])
    return _summary(Path(sr_dir).resolve().name, scale, PROTOCOL, scores)


def sees_luma(upscaler: Upscales) -> bool:
    """Whether a model is scored on luma that was never rounded: networks of Y, and interpolation."""
    return _name(upscaler) in KERNELS or getattr(getattr(upscaler, "card", None), "colour", "rgb") == "y"


def as_seen(upscaler: Upscales, lr: Array) -> Array:
    """A picture of :func:`sample` as a model is scored on it: INT8 ones get the bytes that they are made for."""
    return convert_depth(lr, np.uint8) if getattr(getattr(upscaler, "card", 0), "precision", "") == "int8" else lr


def sample(path: Path, scale: int, *, luma_only: bool = False) -> tuple[Array, Array]:
    """One picture of a set as a model is scored on it.

    Args:
        path: The original.
        scale: Upscaling factor.
        luma_only: As in :func:`evaluate_model`.

    Returns:
        LR as the model gets it, and HR that its result is compared with, uint8, cropped to a multiple of ``scale``.

    Raises:
        ImageError: The picture cannot be read, or is too small.
    """
    hr = _crop(convert_depth(read_image(path).pixels, np.uint8), scale, path)
    if not luma_only:
        return imresize(hr, size=(hr.shape[0] // scale, hr.shape[1] // scale)), hr
    hr = luma(hr)
    lr = imresize(hr.astype(np.float32) / np.float32(255), size=(hr.shape[0] // scale, hr.shape[1] // scale))
    return np.clip(lr, 0, 1), hr


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, by stem.

    Raises:
        UsageError: It is no folder, or has no pictures.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: give a folder of pictures")
    files = (p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    pictures = sorted((p for p in files if p.suffix.lower() in INPUT_SUFFIXES), key=lambda p: p.stem)
    if not pictures:
        raise UsageError(f"{folder} has no pictures: give a folder of pictures")
    return pictures


def _by_stem(paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise UsageError(f"{found[path.stem]} and {path} have the same stem: keep one of them")
        found[path.stem] = path
    return found


def _pairs(sr_paths: list[Path], hr_paths: list[Path], scale: int) -> list[tuple[Path, Path]]:
    originals = _by_stem(hr_paths)
    upscaled: dict[str, Path] = {}
    for stem, path in _by_stem(sr_paths).items():
        name = stem if stem in originals else re.sub(rf"[_-]?[xX]{scale}$", "", stem)
        if name not in originals:
            raise UsageError(f"{path} has no original in {hr_paths[0].parent}: the stems have to be the same")
        if name in upscaled:
            raise UsageError(f"{upscaled[name]} and {path} both belong to {originals[name]}: keep one of them")
        upscaled[name] = path
    for name, path in originals.items():
        if name not in upscaled:
            raise UsageError(f"{path} has no upscaled picture in {sr_paths[0].parent}: the stems have to be the same")
    return [(upscaled[name], path) for name, path in originals.items()]


def _crop(hr: Array, scale: int, path: Path) -> Array:
    """The field's ``modcrop``: the largest multiple of ``scale``, from the top left corner."""
    if scale < 1:
        raise UsageError(f"a scale of {scale} cannot be: give 1 or more")
    height, width = (n // scale * scale for n in hr.shape[:2])
    if min(height, width) == 0:
        raise ImageError(f"{path} is only {_size(hr)}: too small for scale {scale}")
    return hr[:height, :width]


def _as_grey(image: Array) -> Array:
    """One channel of a grey picture that was saved as RGB; any other picture as it is."""
    return image[..., :1] if (image == image[..., :1]).all() else image


def _score(path: Path, sr: Array, hr: Array, scale: int) -> ImageScore:
    try:
        return ImageScore(path.stem, psnr_y(sr, hr, scale), ssim_y(sr, hr, scale))
    except SharplineError as error:
        raise ImageError(f"{path} cannot be scored: {error}") from error


def _summary(model: str, scale: int, protocol: str, scores: list[ImageScore]) -> Evaluation:
    psnr, ssim = (float(np.mean(v)) for v in ([s.psnr_y for s in scores], [s.ssim_y for s in scores]))
    return Evaluation(model, scale, protocol, psnr, ssim, scores)


def _name(upscaler: Upscales) -> str:
    card = getattr(upscaler, "card", None)
    return str(getattr(card, "name", None) or getattr(upscaler, "name", None) or type(upscaler).__name__)


def _size(image: Array) -> str:
    channels = image.shape[2] if image.ndim == 3 else 1
    return f"{image.shape[1]} x {image.shape[0]} {'grey' if channels == 1 else 'RGB'}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
