"""Validation pictures that are trained on: the best checkpoint would be chosen by what it has learnt by heart."""

from __future__ import annotations

import json
from pathlib import Path

from sharpline.lab.data.cache import PictureCache
from sharpline.lab.data.leaks import cached_leaks
from sharpline.pixels.atomic import whole_file


def leak_warning(train: PictureCache, valid: PictureCache, caches: Path) -> str | None:
    """A line for people, where validation pictures are also in the training set.

    Args:
        train: the training set.
        valid: the validation set.
        caches: where decoded pictures are kept; what was found is kept beside them, by what is in both sets.

    Returns:
        The line; None where no picture is in both.
    """
    path = caches / f"leaks-{train.digest[:16]}-{valid.digest[:16]}.json"
    try:
        found: dict[str, str] = json.loads(path.read_text())
    except (OSError, ValueError):
        found = {}
        for leak in cached_leaks(train, valid):  # the most similar first
            found.setdefault(leak.test, leak.train)
        with whole_file(path, overwrite=True) as file:
            file.write(json.dumps(found, indent=1).encode())
    if not found:
        return None
    test, taught = next(iter(found.items()))
    return (
        f"{len(found)} of {len(valid)} validation pictures are trained on too ({test} is {taught}): their scores "
        "choose what is learnt by heart; 'sharpline leaks' lists them"
    )
