"""A small recipe on pictures that the test makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw

RECIPE = {
    "name": "tiny",
    "network": {"family": "edge", "channels": 8, "depth": 1, "scale": 2, "expansion": 8},
    "data": {"train": "train", "valid": "valid", "patch": 8, "batch": 4},
    "steps": 12,
    "ema": 0.9,
    "schedule": {"warmup": 2},
    "validate_every": 4,
    "card": {"version": "1", "description": "test", "licence": "CC0", "training_data": "noise"},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with pictures of random triangles, train/ and valid/."""
    rng = np.random.default_rng(0)
    for folder, count in (("train", 3), ("valid", 2)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            picture = Image.new("RGB", (65, 48))
            draw = ImageDraw.Draw(picture)
            for _ in range(12):  # edges of all directions, which interpolation blurs
                corners = [tuple(rng.integers(0, 65, 2).tolist()) for _ in range(3)]
                draw.polygon(corners, tuple(rng.integers(0, 256, 3).tolist()))
            picture.save(tmp_path / folder / f"{number}.png")
    return tmp_path


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    """The recipe as a file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path
