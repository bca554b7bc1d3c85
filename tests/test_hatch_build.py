"""The part of a package build that compiles the embedded networks: it adds to the package, and never breaks a build."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


class App:
    """What hatch gives a hook to talk with."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def display_warning(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def module(monkeypatch):
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv(module.SKIP, raising=False)
    monkeypatch.setattr(module.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(module.platform, "libc_ver", lambda: ("glibc", "2.36"))
    return module


def built(module, version: str = "standard") -> tuple[list[str], dict[str, Any]]:
    """What a build says, and what it puts into the package."""

    class Hook(module.CustomBuildHook):
        app = App()

        def __init__(self) -> None:
            pass

    hook, data = Hook(), {"force_include": {}, "pure_python": True}
    hook.initialize(version, data)
    included = {name: Path(file).read_bytes() for file, name in data["force_include"].items()}
    hook.finalize(version, data, "")
    assert not any(Path(file).exists() for file in data["force_include"])
    return hook.app.said, data | {"force_include": included}


def compiles(command, **settings):
    """Stands for the script: it leaves a library."""
    (Path(command[-1]) / "edge.int8.x86-64-avx2.so").write_bytes(b"code")


def test_libraries_come_into_the_wheel_whose_tag_is_then_the_machines(module, monkeypatch) -> None:
    monkeypatch.setattr(module.subprocess, "run", compiles)
    said, data = built(module)
    assert data["force_include"] == {"sharpline/runtime/models/edge.int8.x86-64-avx2.so": b"code"}
    assert (data["pure_python"], data["tag"]) == (False, "py3-none-manylinux_2_17_x86_64")
    assert not said


def test_an_editable_install_has_them_in_its_source(module, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(module.subprocess, "run", compiles)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / module.MODELS).mkdir(parents=True)
    _, data = built(module, "editable")
    assert (tmp_path / module.MODELS / "edge.int8.x86-64-avx2.so").read_bytes() == b"code"
    assert data == {"force_include": {}, "pure_python": True}


def fails(command, **settings):
    raise subprocess.CalledProcessError(1, command, stderr="Traceback\nModuleNotFoundError: ziglang")


def hangs(command, **settings):
    raise subprocess.TimeoutExpired(command, 600)


@pytest.mark.parametrize(("run", "words"), [(fails, "ModuleNotFoundError: ziglang"), (hangs, "timed out")])
def test_a_build_that_cannot_compile_goes_on_and_says_so(module, monkeypatch, run, words) -> None:
    monkeypatch.setattr(module.subprocess, "run", run)
    said, data = built(module)
    assert data == {"force_include": {}, "pure_python": True}
    assert len(said) == 1
    assert words in said[0]
    assert "they run in ONNX Runtime" in said[0]


def test_where_nothing_is_compiled_nothing_is_fetched_for_it(module, monkeypatch) -> None:
    hook = module.CustomBuildHook.__new__(module.CustomBuildHook)
    assert any(tool.startswith("ziglang") for tool in hook.dependencies())
    monkeypatch.setenv(module.SKIP, "1")
    assert hook.dependencies() == []
    monkeypatch.setattr(module.subprocess, "run", lambda *a, **k: pytest.fail("compiled all the same"))
    assert "SHARPLINE_SKIP_COMPILE is set" in built(module)[0][0]
    monkeypatch.setenv(module.SKIP, "0")
    monkeypatch.setattr(module.platform, "libc_ver", lambda: ("", ""))
    assert hook.dependencies() == []
    monkeypatch.setattr(module.platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(module.platform, "machine", lambda: "riscv64")
    assert hook.dependencies() == []
