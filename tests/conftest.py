"""Fixtures that several test files share: where the data lies."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the test and training data, named by SHARPLINE_DATA."""
    folder = os.environ.get("SHARPLINE_DATA")
    if not folder:
        pytest.skip("SHARPLINE_DATA is not set: it names the folder with test/, train/ and valid/")
    if not Path(folder).is_dir():
        pytest.skip(f"SHARPLINE_DATA={folder} is not a folder")
    return Path(folder)


@pytest.fixture(scope="session")
def reference_dir(data_dir: Path) -> Path:
    """Folder ``reference`` beside the data: other people's outputs to compare with."""
    folder = data_dir.resolve().parent / "reference"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: it holds the reference outputs")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with servers, cameras and browsers run one after the other, in one process: they count what is left."""
    for item in items:
        if {"line", "console"} & set(item.path.parts):
            item.add_marker(pytest.mark.xdist_group("real parts"))
