"""The pictures of a training: decoded, degraded, seen by the teacher, all before the first step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from sharpline.errors import AbsentModelError, UsageError
from sharpline.lab.data import PictureCache, open_cache
from sharpline.lab.data.decoding import Pixels
from sharpline.lab.data.degradation import BICUBIC, load_degradation
from sharpline.lab.networks import NetworkConfig
from sharpline.lab.training.recipe import Recipe
from sharpline.lab.training.teacher import load_teacher, open_taught


@dataclass(frozen=True)
class Sources:
    """Pictures in memory or mapped from disk.

    Attributes:
        train: by scale.
        valid: at the network's scale.
        taught: a teacher's pictures for those of ``train``.
    """

    train: dict[int, PictureCache]
    valid: PictureCache
    taught: list[Pixels] | None = None

    @property
    def digest(self) -> str:
        """SHA-256 over the training pictures."""
        return next(iter(self.train.values())).digest


def open_sources(recipe: Recipe, config: NetworkConfig, data: Path, caches: Path, device: torch.device) -> Sources:
    """Open what a recipe names.

    Args:
        recipe: names the folders.
        config: of the network.
        data: what the folders are relative to.
        caches: where decoded pictures are kept.
        device: where a teacher runs.

    Raises:
        UsageError: missing folders, a teacher that does not fit.
    """
    scales = recipe.data.scales or [config.scale]
    if config.scale not in scales:
        raise UsageError(f"data.scales: {scales} lacks the network's own scale {config.scale}, which is validated")
    if recipe.teacher is not None:
        try:
            load_teacher(Path(recipe.teacher.checkpoint), config.scale)  # refused now rather than after the decoding
        except AbsentModelError as error:
            raise AbsentModelError(f"teacher {error}; --set teacher=null trains without one") from None
    how = BICUBIC if recipe.data.degradation is None else load_degradation(Path(recipe.data.degradation))
    folders, given = _below(data, recipe.data.train), None if recipe.data.lr is None else _below(data, recipe.data.lr)
    train = {scale: open_cache(folders, scale, caches, lr=given, degradation=how, seed=recipe.seed) for scale in scales}
    valid = open_cache(data / recipe.data.valid, config.scale, caches, degradation=how, seed=recipe.seed)
    taught = None
    if recipe.teacher is not None and recipe.teacher.weight:
        taught = open_taught(train[config.scale], Path(recipe.teacher.checkpoint), config.scale, caches, device)
    return Sources(train, valid, taught)


def _below(data: Path, folders: str | list[str]) -> list[Path]:
    return [data / folder for folder in ([folders] if isinstance(folders, str) else folders)]
