"""Zero-shot super-resolution: a small network that learns from the one picture it enlarges."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from sharpline.errors import ImageError
from sharpline.lab.boards.onnx_file import model_of
from sharpline.lab.data import PictureCache
from sharpline.lab.data.decoding import Pixels
from sharpline.lab.data.degradation import BICUBIC, Degradation, degrade, load_degradation
from sharpline.lab.training.loop import one_step, start
from sharpline.lab.training.recipe import Recipe
from sharpline.lab.training.recipe_file import load_recipe
from sharpline.lab.training.sources import Sources
from sharpline.pixels.depth import convert_depth
from sharpline.pixels.imresize import imresize
from sharpline.pixels.picture import Array
from sharpline.runtime.card import ModelCard
from sharpline.runtime.tiling import Progress
from sharpline.runtime.upscaler import Upscaler

_PYRAMID = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # the picture itself, shrunk: more HR examples of its texture
_TURNS = {4: [2, 2]}  # a quarter of a picture holds too little: what is learnt at its half is applied twice
_SMALLEST = 8  # LR pixels of a training patch


class ZeroShot:
    """Upscales pictures, each with a network that has seen nothing but that picture.

    For cameras that no training set knows. The picture shrunk is LR, the picture is HR; what is learnt there
    is applied to the picture, for four times twice. Takes some seconds a picture on a quiet CPU; a
    transparency is interpolated, since there is nothing to learn from.

    Source: Shocher et al., "Zero-Shot Super-Resolution using Deep Internal Learning", CVPR 2018, with the edge
    network and Muon in place of the paper's network and Adam.

    Args:
        scale: enlargement, 2..4.
        recipe: of the training; None takes ``recipes/zssr.yaml``.
        threads: for the enlargement; training takes what torch is set to.

    Example:
        >>> upscale = ZeroShot(2)
        >>> upscale.card.training_data
        'the picture itself, shrunk'
    """

    engine_name = "ort"

    def __init__(self, scale: int = 4, *, recipe: Recipe | None = None, threads: int | None = None) -> None:
        recipe = recipe or default_recipe()
        self._turns = _TURNS.get(scale, [scale])
        self._recipe = recipe.model_copy(update={"network": {**recipe.network, "scale": self._turns[0]}})
        self._threads = threads
        self._interpolate = Upscaler("bicubic", scale=scale)
        self.scale = scale
        degradation = recipe.data.degradation
        self._degradation = BICUBIC if degradation is None else load_degradation(Path(degradation))

    @property
    def card(self) -> ModelCard:
        """What can be said before a picture is known."""
        words = self._recipe.card.model_dump()
        return ModelCard(name=self._recipe.name, scale=self.scale, colour="rgb", receptive_field=0, **words)

    def __call__(self, image: Array, *, progress: Progress | None = None) -> Array:
        """Learn from a picture, then enlarge it.

        Args:
            image: H x W x 3 or H x W x 1; uint8, uint16, or float32 in [0, 1]. H x W (alpha) is interpolated.
            progress: called with (steps done, steps in total).

        Returns:
            H*s x W*s x C, of the same dtype.

        Raises:
            ImageError: too small a picture to learn from.
        """
        if image.ndim == 2:
            return self._interpolate(image)
        seen: Pixels = convert_depth(image, np.uint8)
        if seen.shape[2] == 1:
            seen = seen.repeat(3, axis=2)
        once = self._turns[0]
        sources = self_examples(seen, once, self._degradation)
        patch = min(self._recipe.data.patch, *(min(lr.shape[:2]) for lr in sources.train[once].lr))
        recipe = self._recipe.model_copy(update={"data": self._recipe.data.model_copy(update={"patch": patch})})
        with TemporaryDirectory(prefix="zssr-") as folder:
            run = start(recipe, sources, Path(folder), Accelerator(cpu=not torch.cuda.is_available()))
            try:
                while run.step < recipe.steps:  # nothing is validated, noted or kept: what counts is the result
                    one_step(run)
                    if progress is not None:
                        progress(run.step, recipe.steps)
            finally:
                run.batches.close()
        about: dict[str, Any] = {"name": recipe.name, "card": recipe.card.model_dump()}
        model, _ = model_of(run.mean.cpu(), about)
        upscale = Upscaler(model, threads=self._threads)
        for _ in self._turns:
            image = upscale(image)
        return image


def default_recipe() -> Recipe:
    """The recipe of ``recipes/zssr.yaml``."""
    with as_file(files("sharpline.lab.training") / "zssr.yaml") as path:
        return load_recipe(path)


def self_examples(picture: Pixels, scale: int, degradation: Degradation) -> Sources:
    """A picture as its own training set.

    Args:
        picture: uint8 [H, W, 3].
        scale: of the network to be trained.
        degradation: how LR is made.

    Raises:
        ImageError: too small.
    """
    hr = []
    for factor in _PYRAMID:
        smaller = picture if factor == 1 else imresize(picture, factor)
        height, width = (n // scale * scale for n in smaller.shape[:2])
        if min(height, width) >= _SMALLEST * scale:
            hr.append(np.ascontiguousarray(smaller[:height, :width]))
    if not hr:
        raise ImageError(
            f"a picture of {picture.shape[1]} x {picture.shape[0]} pixels is too small to learn from: "
            f"at least {_SMALLEST * scale} x {_SMALLEST * scale} are needed; use another model"
        )
    lr = [degrade(big, degradation, scale, seed=0, name=str(i)).lr for i, big in enumerate(hr)]
    cache = PictureCache([f"level {i}" for i in range(len(hr))], hr, lr, "the picture itself")
    return Sources({scale: cache}, PictureCache(cache.names[:1], hr[:1], lr[:1], cache.digest))
