"""The files in deploy/: what can be said of them without systemd or a registry at hand."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"


def copied() -> list[Path]:
    """What the image is built from."""
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    return [ROOT / name for names in copies for name in names]


def test_the_image_is_built_from_all_that_the_package_needs_and_no_more() -> None:
    missing = [path for path in copied() if not path.exists()]
    assert not missing
    assert {"pyproject.toml", "hatch_build.py", "constraints.txt", "src"} <= {path.name for path in copied()}
    assert not {"runs", ".", ".git"} & {path.name for path in copied()}  # of a working tree these have gigabytes
    links = [path.resolve() for path in (ROOT / "src").rglob("*") if path.is_symlink()]
    assert [link for link in links if not any(link.is_relative_to(path) for path in copied())] == []


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    here = tmp_path / "sharpline-line.service"
    here.write_text((DEPLOY / here.name).read_text().replace("/opt/sharpline/bin/sharpline", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if here.name in line] == []
