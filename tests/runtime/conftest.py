from collections.abc import Iterator
from pathlib import Path

import pytest

from asset_server import Site, served
from networks_onnx import random_network, save
from sharpline.runtime import fetching


@pytest.fixture
def model_file(tmp_path):
    """Saves a random network and gives its path: ``model_file(scale=2, colour='rgb', ...)``."""

    def make(name: str = "model.onnx", **fields) -> Path:
        return save(random_network(**fields), tmp_path / name)

    return make


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server with a file, near: no proxies, short pauses and patience."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(fetching, "_PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setattr(fetching, "_TIMEOUT", (2.0, 0.5))
    with served(Site()) as site:
        yield site
