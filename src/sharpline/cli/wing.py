"""What the verbs that learn need: the lab's packages and a data folder; the messages when they are absent."""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from pathlib import Path

from sharpline.cli.loading import loading
from sharpline.errors import UsageError


def lab_is_installed() -> bool:
    """Whether torch is there."""
    return find_spec("torch") is not None


def need_lab(verb: str) -> None:
    """Load the largest of the lab's packages, or raise a one-line error when they are not installed."""
    if not lab_is_installed():
        raise UsageError(f"sharpline {verb} needs the lab's packages: pip install 'sharpline[lab]'")
    with loading():
        importlib.import_module("torch")


def data_folder(given: Path | None) -> Path:
    """The folder that recipes' paths are relative to: the one that is given, or $SHARPLINE_DATA."""
    folder = given or os.environ.get("SHARPLINE_DATA")
    if folder is None:
        raise UsageError("no data folder: give --data DIR or set SHARPLINE_DATA")
    return Path(folder)


def need_folders(*folders: Path) -> None:
    """Raise a one-line error for the first that is not there."""
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: {'is not a' if folder.exists() else 'no such'} folder; name one of pictures")
