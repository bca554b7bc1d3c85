"""Compiles the embedded INT8 networks for this machine's architecture when the package is built.

Where that cannot be (another system, SHARPLINE_SKIP_COMPILE=1, any failure) the package is built without: its networks
run in ONNX Runtime then, and say so. Run as a script, this file is the part that compiles, in a process of its own:

    python hatch_build.py FOLDER       the libraries and their lists go there
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import types
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sharpline.compiler.schedule import Schedule
    from sharpline.runtime.integer import IntegerModel

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # the script needs no hatchling
    BuildHookInterface = object

ROOT = Path(__file__).resolve().parent
MODELS = Path("src/sharpline/runtime/models")
SKIP = "SHARPLINE_SKIP_COMPILE"
TOOLS = ["ziglang>=0.15", "numpy>=2.0", "onnx>=1.17", "pydantic>=2.8"]
SECONDS = 600  # that compiling may take
# The libraries need no C library newer than this, whatever is on the machine that they are built on.
TAGS = {"x86_64": "py3-none-manylinux_2_17_x86_64", "aarch64": "py3-none-manylinux_2_17_aarch64"}


def obstacle() -> str:
    """Why this machine compiles nothing; empty where it does."""
    if os.environ.get(SKIP, "") not in ("", "0"):
        return f"{SKIP} is set"
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc" or platform.machine() not in TAGS:
        return f"there are variants for Linux with glibc on {' and '.join(TAGS)} only"
    return ""


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Adds the libraries to the wheel; to the source tree of an editable install."""

    _scratch: Path | None = None

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling, where it can compile."""
        return [] if obstacle() else TOOLS

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile."""
        reason = obstacle()
        if not reason:
            self._scratch = Path(tempfile.mkdtemp(prefix="sharpline-"))
            libraries, cache = self._scratch / "libraries", str(self._scratch / "cache")
            libraries.mkdir()
            command = [sys.executable, __file__, str(libraries)]
            room = os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS, env=room)
            except (OSError, subprocess.SubprocessError) as error:
                said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
                reason = said[-1] if said else "it failed"
        if reason:
            self.app.display_warning(f"the networks are not compiled ({reason}): they run in ONNX Runtime")
            return
        made = sorted(libraries.iterdir())
        if version == "editable":
            for file in made:
                shutil.copy(file, ROOT / MODELS)
            return
        inside = MODELS.relative_to("src").as_posix()
        build_data["force_include"] |= {str(file): f"{inside}/{file.name}" for file in made}
        build_data["pure_python"] = False
        build_data["tag"] = TAGS[platform.machine()]

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Tidy up."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def compile_all(folder: Path) -> None:
    """Compile every embedded INT8 network for this architecture's targets; the lists last."""
    from sharpline.compiler.schedule import read_schedules, schedules_of
    from sharpline.runtime.integer import network_digest
    from sharpline.runtime.libraries import library_of, list_of, write_libraries
    from sharpline.runtime.processor import architecture, targets_of

    jobs = []
    for file in sorted((ROOT / MODELS).glob("*.int8.onnx")):
        model = integers_of(file)
        name, digest = file.name.removesuffix(".int8.onnx"), network_digest(model)
        schedules = read_schedules(schedules_of(file))
        for target in targets_of(architecture()):
            jobs.append(Job(model, target, library_of(folder / file.name, target), name, digest, schedules.get(target)))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("fork")) as pool:
        failures = [failure for failure in pool.map(compile_one, jobs) if failure]
    for job in jobs:
        if job.path.exists():
            write_libraries(list_of(folder / f"{job.name}.int8.onnx"), job.digest, [(job.target, job.path)])
    if failures:
        print(*failures, sep="\n", file=sys.stderr)
    if len(failures) == len(jobs):
        sys.exit(1)


def integers_of(file: Path) -> IntegerModel:
    """Read the integers of a model file."""
    import onnx

    from sharpline.runtime.integer_graph import integer_model

    return integer_model(onnx.load(file), str(file))


class Job(NamedTuple):
    """A library to be made."""

    model: IntegerModel
    target: str
    path: Path
    name: str
    digest: str
    schedule: Schedule | None


def compile_one(job: Job) -> str:
    """Compile one network for one target; tell why it failed."""
    try:
        from sharpline.compiler import compile_model

        compile_model(job.model, job.target, job.path, name=job.name, digest=job.digest, schedule=job.schedule)
    except Exception as error:  # of whatever kind: what cannot be compiled runs in ONNX Runtime
        return f"{job.name} for {job.target}: {error}"
    return ""


def without_its_dependencies() -> None:
    """Make parts of the package importable without what the whole of it needs."""
    package = types.ModuleType("sharpline")
    package.__path__ = [str(ROOT / "src" / "sharpline")]
    sys.modules["sharpline"] = package


if __name__ == "__main__":
    without_its_dependencies()
    compile_all(Path(sys.argv[1]))
