"""sharpline assets list, pull, path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from asset_server import CONTENT, Site, served
from sharpline.cli import assets as verbs
from sharpline.runtime import assets, fetching


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    """A server, and a registry of two files on it: ``thing`` and ``other``."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SHARPLINE_MIRROR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SHARPLINE_ASSETS", str(tmp_path / "assets"))
    monkeypatch.setattr(fetching, "_PAUSES", ())
    with served(Site()) as site:
        two = {
            "thing": site.asset(),
            "other": site.asset(name="other", file="other.bin", urls=(f"{site.url}/other.bin",)),
        }
        monkeypatch.setattr(assets, "registry", lambda: two)
        monkeypatch.setattr(verbs, "registry", lambda: two)
        yield site


def states(sharpline) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in json.loads(sharpline("assets", "list", "--json").out)}


@pytest.mark.parametrize("verb", [[], ["list"], ["pull"], ["path"]])
def test_help_has_an_example(sharpline, verb: list[str]) -> None:
    result = sharpline("assets", *verb, "--help")
    assert result.code == 0
    assert "Example: sharpline assets" in " ".join(result.out.split())


def test_list_shows_the_registry_and_asks_no_server(sharpline, tmp_path: Path) -> None:
    result = sharpline("assets", "list", "--cache", tmp_path / "none")
    assert result.code == 0
    for word in ("niqe", "esrgan-x4", "11.8 kB", "BSD-3-Clause", "missing", str(tmp_path / "none")):
        assert word in result.out.replace("\n", "")
    assert not (tmp_path / "none").exists()


def test_list_for_machines(sharpline, tmp_path: Path) -> None:
    niqe = json.loads(sharpline("assets", "list", "--json", "--cache", tmp_path).out)[0]
    assert niqe["path"] == str(tmp_path / "niqe_pris_params.npz")
    assert {"name", "file", "size", "sha256", "licence", "purpose", "page", "urls", "state"} <= set(niqe)


def test_pull_then_path(sharpline, site: Site, tmp_path: Path) -> None:
    result = sharpline("assets", "pull", "thing")
    assert (result.code, result.err) == (0, "")
    assert result.out == f"{tmp_path / 'assets' / 'thing.bin'}\n"
    assert Path(result.out.strip()).read_bytes() == CONTENT
    assert sharpline("assets", "path", "thing").out == result.out
    assert states(sharpline) == {"thing": "present", "other": "missing"}


def test_pull_several_or_all(sharpline, site: Site, tmp_path: Path) -> None:
    assert sharpline("assets", "pull", "thing", "other", "thing", "--cache", tmp_path / "a").code == 0
    assert len(site.asked) == 2
    assert sharpline("assets", "pull", "--all", "--cache", tmp_path / "b").code == 0
    assert {path.name for path in (tmp_path / "b").glob("*.bin")} == {"thing.bin", "other.bin"}


@pytest.mark.parametrize("words", [["pull"], ["pull", "thing", "--all"], ["pull", "thin"], ["path", "thin"]])
def test_usage(sharpline, site: Site, words: list[str]) -> None:
    result = sharpline("assets", *words)
    assert result.code == 2
    assert len(result.err.strip().splitlines()) == 1
    assert site.asked == []


def test_path_of_what_was_not_pulled(sharpline, site: Site, tmp_path: Path) -> None:
    result = sharpline("assets", "path", "thing")
    assert (result.code, result.out) == (1, "")
    assert "sharpline assets pull thing" in result.err
    assert site.asked == []
    assert not (tmp_path / "assets").exists()


def test_one_that_fails_does_not_stop_the_others(sharpline, site: Site) -> None:
    site.statuses = [404]
    result = sharpline("assets", "pull", "--all")
    assert result.code == 1
    assert result.err.startswith("error: thing was not pulled")
    assert len(result.err.strip().splitlines()) == 1
    assert result.out.endswith("other.bin\n")
    assert states(sharpline) == {"thing": "missing", "other": "present"}


def test_a_mirror_by_option_or_environment(sharpline, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sharpline("assets", "pull", "thing", "--url-base", f"{site.url}/one").code == 0
    monkeypatch.setenv("SHARPLINE_MIRROR", f"{site.url}/two")
    assert sharpline("assets", "pull", "other").code == 0
    assert [path for path, _ in site.asked] == ["/one/thing.bin", "/two/other.bin"]
    assert sharpline("assets", "pull", "other", "--url-base", "/mnt/stick").code == 2


def test_ctrl_c_keeps_the_part(sharpline, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fetching._first_byte

    def pressed(*words: object) -> int:
        if len(site.asked) == 2:
            raise KeyboardInterrupt
        return real(*words)

    monkeypatch.setattr(fetching, "_PAUSES", (0.0,))
    monkeypatch.setattr(fetching, "_first_byte", pressed)
    site.drops = [100_000]
    result = sharpline("assets", "pull", "thing")
    assert (result.code, result.out) == (130, "")
    assert "the same command goes on from there" in result.err
    assert states(sharpline)["thing"] == "partial"
    monkeypatch.setattr(fetching, "_first_byte", real)
    assert sharpline("assets", "pull", "thing").code == 0
    assert site.asked[-1][1] is not None


def test_a_damaged_file_is_seen(sharpline, site: Site, tmp_path: Path) -> None:
    sharpline("assets", "pull", "thing")
    file = tmp_path / "assets" / "thing.bin"
    file.write_bytes(CONTENT[:-1])
    assert states(sharpline)["thing"] == "damaged"
    assert sharpline("assets", "path", "thing").code == 1
    assert sharpline("assets", "pull", "thing").code == 0
    assert file.read_bytes() == CONTENT
