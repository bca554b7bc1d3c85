"""The registry of assets, and finding them without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from asset_server import environment
from sharpline.errors import ModelError, UsageError
from sharpline.runtime.assets import asset_path, cache_folder, find_asset, is_whole, registry


def test_every_entry_says_all_and_points_to_the_web() -> None:
    for asset in registry().values():
        assert asset.licence
        assert asset.purpose
        assert asset.page.startswith("https://")
        assert all(url.startswith("https://") for url in asset.urls)
    assert len({asset.file for asset in registry().values()}) == len(registry())


def test_niqe_entry_is_the_reference_file(reference_dir: Path) -> None:
    assert is_whole(reference_dir / "niqe" / "niqe_pris_params.npz", registry()["niqe"])


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UsageError, match="realesrgan-x4plus"):
        find_asset("realesrgan-x4")


def test_cache_folder_given_then_environment_then_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("SHARPLINE_ASSETS", raising=False)
    assert tmp_path / "xdg" in cache_folder().parents
    monkeypatch.setenv("SHARPLINE_ASSETS", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    assert cache_folder(tmp_path / "given") == tmp_path / "given"


def test_asset_path_says_how_to_get_it_and_touches_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not there; get it with: sharpline assets pull niqe"):
        asset_path("niqe", cache=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_asset_path_refuses_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "niqe_pris_params.npz").write_bytes(bytes(registry()["niqe"].size))
    with pytest.raises(ModelError, match="is damaged; get it with"):
        asset_path("niqe", cache=tmp_path)


def test_asset_path_of_what_is_there(reference_dir: Path, tmp_path: Path) -> None:
    shutil.copy(reference_dir / "niqe" / "niqe_pris_params.npz", tmp_path)
    assert asset_path("niqe", cache=tmp_path) == tmp_path / "niqe_pris_params.npz"


def test_nothing_of_the_network_is_imported_before_a_pull() -> None:
    code = (
        "import sys, sharpline.cli.verbs, sharpline.runtime.assets as a; a.registry();"
        "print({'requests', 'pooch', 'urllib3'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=environment()) == "set()\n"
