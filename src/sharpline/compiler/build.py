"""From an integer network to a shared library."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from sharpline.compiler.schedule import Schedule, usual
from sharpline.compiler.source import network_source
from sharpline.compiler.targets import Target, target_of
from sharpline.errors import ModelError, UsageError
from sharpline.pixels.atomic import whole_file
from sharpline.runtime.integer import IntegerModel, check_integer, check_picture, upscale_integer

ABI = 1
_FLAGS = (
    "-std=c11",
    "-O3",
    "-g0",
    "-s",
    "-pthread",
    "-fvisibility=hidden",
    "-fno-sanitize=undefined",
    "-ffp-contract=off",
)
_SEED = 1
_SIZES = ((19, 23), (1, 1))  # of the pictures that a library is checked with


def compile_model(
    model: IntegerModel, target: str, path: Path, *, name: str, digest: str, schedule: Schedule | None = None
) -> None:
    """Compile a network.

    Args:
        model: the network.
        target: one of ``TARGETS``.
        path: the library to be written; an existing one is replaced.
        name: of the network, for people.
        digest: of the network (``runtime.integer.network_digest``).
        schedule: how to go about it; None takes the usual one.

    Raises:
        ModelError: the network does not fit together or is not supported.
        UsageError: no such target, or no compiler.
        OSError: the file cannot be written.
    """
    check_integer(model, name)
    machine = target_of(target)
    info = {
        "abi": ABI,
        "name": name,
        "network": digest,
        "target": target,
        "scale": model.scale,
        "colours": model.colours,
        "halo": model.receptive_field,
        "check": check_of(model),
    }
    text = network_source(model, machine, schedule or usual(machine), info)
    library = compile_c(text, machine, name)
    with whole_file(path, overwrite=True) as file:
        file.write(library)


def check_of(model: IntegerModel) -> dict[str, Any]:
    """What a library has to compute, so that it can be checked where it runs: pictures and digests of their results.

    Returns:
        ``seed`` and ``cases``, each with ``height``, ``width`` and ``sha256`` of the output's bytes.
    """
    cases = []
    for height, width in _SIZES:
        sr = upscale_integer(model, check_picture(_SEED, height, width, model.colours))
        cases.append({"height": height, "width": width, "sha256": hashlib.sha256(sr.tobytes()).hexdigest()})
    return {"seed": _SEED, "cases": cases}


def compile_c(text: str, target: Target, name: str, options: Sequence[str] = (), triple: str = "") -> bytes:
    """Compile the engine with a network.

    Args:
        text: ``network.h``.
        target: the processor.
        name: of the network, for errors.
        options: for the compiler; none makes a shared library.
        triple: of another system than the target's.

    Returns:
        The bytes of the library or program.

    Raises:
        UsageError: the compiler is not there.
        ModelError: it does not take the network.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise UsageError("compiling needs a C compiler for every target: pip install 'sharpline[compile]'")
    with tempfile.TemporaryDirectory() as folder, as_file(files("sharpline.compiler") / "engine") as engine:
        work = Path(folder)
        (work / "network.h").write_text(text)
        command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, *(options or ("-shared", "-fPIC"))]
        command += ["-target", triple or target.triple, f"-mcpu={target.cpu}", f'-DTARGET_HEADER="{target.header}"']
        command += [f"-I{engine}", f"-I{work}", str(engine / "engine.c"), "-o", str(work / "library.so")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ModelError(f"{name}: cannot be compiled ({_first_error(done.stderr)}); this is a fault of Sharpline")
        return (work / "library.so").read_bytes()


def _first_error(text: str) -> str:
    lines = text.strip().splitlines() or ["no reason given"]
    return next((line for line in lines if "error" in line), lines[0])
