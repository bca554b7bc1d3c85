"""The same pixels on 64-bit ARM as here, under qemu: `scripts/arm64.sh CACHE`, then SHARPLINE_ARM64_TREE=CACHE."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from skimage.data import astronaut

from networks_onnx import save
from sharpline.pixels.reading import read_image
from sharpline.pixels.writing import write_image
from sharpline.runtime.catalog import open_model
from sharpline.runtime.integer_graph import integer_model
from sharpline.runtime.libraries import library_of
from sharpline.runtime.upscaler import Upscaler

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("arm64")]
LR = astronaut()[60:100, 180:230]


@pytest.fixture(scope="module")
def there():
    """Runs Python as on a Raspberry Pi; gives what it prints."""
    cache = os.environ.get("SHARPLINE_ARM64_TREE")
    if not cache:
        pytest.skip("SHARPLINE_ARM64_TREE is not set: it names the folder that scripts/arm64.sh made")
    python = Path(cache).resolve() / "python-pi4"
    if not python.is_file():
        pytest.skip(f"{python} is not there: scripts/arm64.sh {cache} makes it")

    def run(*arguments: object) -> str:
        done = subprocess.run([str(python), *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A Pi's folder: the integer network for ONNX Runtime and for LiteRT."""
    pytest.importorskip("torch")
    pytest.importorskip("ai_edge_litert")
    from board_folders import write_folder
    from sharpline.runtime.formats.tflite_integer import integer_tflite

    graph = open_model("edge-s-x4", precision="int8").graph
    assert graph is not None
    tflite = integer_tflite(integer_model(graph))
    place = tmp_path_factory.mktemp("arm64")
    files = {"net-int8.onnx": (graph.SerializeToString(), None), "net-int8.tflite": (tflite, None)}
    if find_spec("halide"):
        model = save(graph, place / "net-int8.onnx")
        compiling = [sys.executable, "-m", "sharpline", "compile", str(model), "--target", "arm64-neon"]
        subprocess.run(compiling, check=True, capture_output=True)
        library = library_of(model, "arm64-neon")
        files[library.name] = (library.read_bytes(), None)
    return write_folder(place / "pi", graph, files)


def test_it_is_arm(there):
    assert there("-c", "import platform; print(platform.machine())").strip() == "aarch64"


@pytest.mark.parametrize(("precision", "allowed"), [("int8", 0), ("fp32", 1)])
def test_sharpline_upscale(there, tmp_path, precision, allowed):
    write_image(tmp_path / "lr.png", LR)
    names = ["-m", "sharpline", "upscale", tmp_path / "lr.png", "-o", tmp_path / "sr.png"]
    there(*names, "--model", "edge-s-x4", "--precision", precision, "--engine", "ort")
    here = Upscaler("edge-s-x4", precision=precision, engine="ort")(LR).astype(int)
    assert np.abs(read_image(tmp_path / "sr.png").pixels - here).max() <= allowed


@pytest.mark.parametrize("engine", ["onnxruntime", "litert", "compiled"])
def test_run_py(there, board, tmp_path, engine):
    if engine == "compiled":
        pytest.importorskip("halide")
    write_image(tmp_path / "lr.png", LR)
    said = there(board / "run.py", tmp_path / "lr.png", "-o", tmp_path / "sr.png", "--engine", engine)
    assert f"in {engine}" in said
    here = Upscaler("edge-s-x4", precision="int8", engine="ort")(LR)
    assert np.array_equal(read_image(tmp_path / "sr.png").pixels, here)
