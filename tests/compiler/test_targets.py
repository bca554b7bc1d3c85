"""Processors that are not at hand: emulated where that is possible, their instructions looked at where it is not."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiled_networks import Library
from sharpline.compiler import TARGETS
from sharpline.compiler.build import compile_c
from sharpline.compiler.schedule import usual
from sharpline.compiler.source import network_source
from sharpline.runtime.integer import upscale_integer

HERE = Path(__file__).parent
SIMDE = Path("/usr/include/simde")
ARM_LIBRARIES = Path("/usr/aarch64-linux-gnu")
ARM = [name for name in TARGETS if name.startswith("arm64")]


@pytest.fixture(scope="session")
def driver(tmp_path_factory) -> list[str]:
    """Runs a library of another processor: arguments as in ``driver.c``."""
    pytest.importorskip("ziglang", reason="the compiler's package, ziglang, is not installed")
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if emulator is None or not (ARM_LIBRARIES / "lib" / "libc.so.6").exists():
        pytest.skip("emulating arm64 needs: apt-get install qemu-user-static libc6-arm64-cross")
    program = tmp_path_factory.mktemp("driver") / "driver"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-gnu.2.34", "-O1", "-o", str(program)]
    subprocess.run([*command, str(HERE / "driver.c")], check=True, capture_output=True)
    return [emulator, "-L", str(ARM_LIBRARIES), str(program)]


@pytest.mark.slow
@pytest.mark.parametrize("target", ARM)
def test_every_byte_on_arm(made, driver: list[str], network: str, target: str) -> None:
    model, library = made(network, target)
    rng = np.random.default_rng(0)
    for height, width, threads in [(1, 1, 1), (19, 23, 2), (1, 37, 1), (30, 2, 3)]:
        lr = rng.integers(0, 256, (height, width, model.colours), np.uint8)
        numbers = [height, width, threads, model.colours, model.scale]
        ran = subprocess.run([*driver, str(library), *map(str, numbers)], input=lr.tobytes(), capture_output=True)
        assert ran.returncode == 0, ran.stderr
        np.testing.assert_array_equal(np.frombuffer(ran.stdout, np.uint8), upscale_integer(model, lr).ravel())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("x86-64-avx2", r"vpmaddubsw\s.*%ymm"),
        ("x86-64-avxvnni", r"\{vex\}\s+vpdpbusd\s.*%ymm"),
        ("x86-64-avx512vnni", r"vpdpbusd\s.*%zmm"),
        ("arm64-neon", r"smlal2?\s.*\.8h"),
        ("arm64-dotprod", r"sdot\s.*\.4s"),
    ],
)
def test_instructions(made, target: str, expected: str) -> None:
    """Between two products in the innermost loop there is no way to memory but to read levels and weights."""
    model, _ = made("colour x2", "x86-64-avx2")
    machine = TARGETS[target]
    text = compile_c(network_source(model, machine, usual(machine), {}), machine, "test", ["-S"]).decode()
    loops = [block for block in re.split(r"\n\.LBB|\n\S+:", text) if len(re.findall(expected, block)) > 3]
    sums = machine.tile[0] * machine.tile[1]
    fullest = max(loops, key=lambda block: len(re.findall(expected, block)))
    assert len(re.findall(expected, fullest)) >= sums - machine.tile[0]
    assert not re.search(r"Spill|Reload", fullest)


@pytest.fixture(scope="session")
def emulated(tmp_path_factory) -> list[str]:
    """The compiler's options with which the instructions of AVX-VNNI and AVX512-VNNI become some of AVX2."""
    if not SIMDE.is_dir():
        pytest.skip("emulating the instructions of other processors needs: apt-get install libsimde-dev")
    alone = tmp_path_factory.mktemp("include")  # the compiler brings its own C library: no other header of the system
    (alone / "simde").symlink_to(SIMDE)
    return ["-shared", "-fPIC", f"-I{HERE / 'emulated'}", f"-I{alone}"]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["x86-64-avxvnni", "x86-64-avx512vnni"])
def test_every_byte_with_vnni(made, emulated: list[str], network: str, target: str, tmp_path: Path) -> None:
    model, _ = made(network, "x86-64-avx2")
    machine = replace(TARGETS[target], cpu="x86_64_v3")
    info = {"scale": model.scale, "colours": model.colours}
    library = tmp_path / "library.so"
    library.write_bytes(compile_c(network_source(model, machine, usual(machine), info), machine, "test", emulated))
    rng = np.random.default_rng(0)
    for height, width, threads in [(1, 1, 1), (11, 13, 2), (1, 37, 1), (30, 2, 3)]:
        lr = rng.integers(0, 256, (height, width, model.colours), np.uint8)
        np.testing.assert_array_equal(Library(library).run(lr, threads), upscale_integer(model, lr))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_a_library_stands_alone(made, target: str) -> None:
    _, library = made("colour x2", target)
    assert library.stat().st_size < 250_000
    names = subprocess.run(["readelf", "-dW", "--dyn-syms", str(library)], capture_output=True, text=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", names))
    assert needed <= {"libc.so.6", "libpthread.so.0", "ld-linux-aarch64.so.1"}
    exported = set(re.findall(r"(?:GLOBAL|WEAK)\s+DEFAULT\s+\d+\s+(\w+)$", names, re.M))
    assert exported == {"sharpline_info", "sharpline_scratch", "sharpline_upscale"}
