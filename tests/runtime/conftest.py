from pathlib import Path

import pytest

from networks_onnx import random_network, save


@pytest.fixture
def model_file(tmp_path):
    """Saves a random network and gives its path: ``model_file(scale=2, colour='rgb', ...)``."""

    def make(name: str = "model.onnx", **fields) -> Path:
        return save(random_network(**fields), tmp_path / name)

    return make
