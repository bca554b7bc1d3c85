"""Assets: files that Sharpline can use and may not contain. Known here by name; ``fetching`` gets them when asked."""

from __future__ import annotations

import difflib
import hashlib
import os
from functools import cache
from pathlib import Path

import platformdirs
import yaml
from pydantic import BaseModel, ConfigDict, Field

from sharpline.errors import ModelError, UsageError

FOLDER_VARIABLE = "SHARPLINE_ASSETS"

_REGISTRY = Path(__file__).with_name("assets.yaml")


class Asset(BaseModel):
    """One file of the registry.

    Attributes:
        name: What it is asked for by.
        file: Its name in the cache folder, and on a mirror.
        size: Bytes.
        sha256: Of the whole file, 64 lower-case hexadecimal digits.
        licence: Under which its authors give it.
        purpose: What for, one line.
        page: Where it comes from, for people.
        urls: Where it is fetched from, tried in turn.

    Example:
        >>> registry()["niqe"].size
        11850
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    size: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    licence: str
    purpose: str
    page: str
    urls: tuple[str, ...] = Field(min_length=1)


@cache
def registry() -> dict[str, Asset]:
    """All assets by name, from ``assets.yaml`` of this package.

    Example:
        >>> "realesrgan-x4plus" in registry()
        True
    """
    entries = yaml.safe_load(_REGISTRY.read_text(encoding="utf-8"))
    return {name: Asset(name=name, **fields) for name, fields in entries.items()}


def find_asset(name: str) -> Asset:
    """The asset of a name.

    Raises:
        UsageError: No such asset; the nearest names are in the message.

    Example:
        >>> find_asset("niqe").licence
        'Apache-2.0'
    """
    assets = registry()
    if name not in assets:
        nearest = difflib.get_close_matches(name, assets, n=3, cutoff=0.4) or assets
        raise UsageError(
            f"unknown asset '{name}': did you mean {', '.join(nearest)}? ('sharpline assets list' shows all)"
        )
    return assets[name]


def cache_folder(given: Path | None = None) -> Path:
    """The folder that assets lie in; it need not exist.

    Args:
        given: A folder that is asked for; None takes SHARPLINE_ASSETS, or else the platform's cache folder.

    Example:
        >>> cache_folder(Path("/srv/assets")).name
        'assets'
    """
    named = given or os.environ.get(FOLDER_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("sharpline") / "assets"


def asset_path(name: str, *, cache: Path | None = None) -> Path:
    """The path of an asset that was pulled; checked, never downloaded.

    Args:
        name: Name in the registry.
        cache: As in :func:`cache_folder`.

    Returns:
        The file. Its SHA-256 is the registry's.

    Raises:
        UsageError: No such asset.
        ModelError: It was not pulled, or the file is damaged; the message has the command to run.

    Example:
        >>> asset_path("niqe", cache=Path("nowhere"))
        Traceback (most recent call last):
        sharpline.errors.ModelError: nowhere/niqe_pris_params.npz: is not there; get it with: sharpline assets pull niqe
    """
    asset = find_asset(name)
    path = cache_folder(cache) / asset.file
    if not is_whole(path, asset):
        state = "is damaged" if path.exists() else "is not there"
        raise ModelError(f"{path}: {state}; get it with: sharpline assets pull {name}")
    return path


def is_whole(path: Path, asset: Asset) -> bool:
    """Whether a file is the asset, to the last bit."""
    if size_of(path) != asset.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == asset.sha256


def partial(path: Path) -> Path:
    """Where the bytes of a download that is under way, or was interrupted, lie."""
    return path.with_name(path.name + ".part")


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0
