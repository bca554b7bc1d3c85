"""A board folder's run.py: Python 3.6, exact tiles, the engines that are here."""

import ast
import ctypes
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from board_folders import PICTURE, pixels_of, run, save_picture, write_folder
from networks_onnx import save
from sharpline.lab.boards.run_parts import choice, devices, folder, tiles
from sharpline.lab.boards.run_script import run_py
from sharpline.runtime import tiling
from sharpline.runtime.boards.profile import board_names, load_board
from sharpline.runtime.catalog import open_model
from sharpline.runtime.libraries import library_of
from sharpline.runtime.processor import fitting_targets
from sharpline.runtime.upscaler import Upscaler

OF_36 = {"argparse", "ctypes", "hashlib", "importlib", "io", "json", "os", "platform", "re", "shlex", "subprocess"}
OF_36 |= {"sys", "threading", "time", "typing", "numpy"}
RUNTIMES = {"onnxruntime", "openvino", "cv2", "ncnn", "tensorrt", "PIL.Image"}
RUNTIMES |= {"ai_edge_litert.interpreter", "tflite_runtime.interpreter"}
# What came after 3.6 and is easily written: methods, functions and arguments of the modules above.
YOUNGER = {
    *("capture_output", "text", "removeprefix", "removesuffix", "perf_counter_ns", "time_ns", "fromisoformat"),
    *("exit_on_error", "isascii", "bit_count", "missing_ok", "cached_property", "Protocol", "Literal", "Final"),
    *("dirs_exist_ok", "pairwise", "strict", "batched", "join_thread", "process_cpu_count", "file_digest"),
}
# The language


@pytest.mark.parametrize("board", board_names())
def test_it_is_python_3_6(board):
    tree = ast.parse(run_py(load_board(board), []), feature_version=(3, 6))
    for node in ast.walk(tree):
        assert not isinstance(node, (ast.NamedExpr, ast.Match)), ast.unparse(node)
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names} <= OF_36
        elif isinstance(node, ast.ImportFrom):
            assert node.module in OF_36
        elif isinstance(node, ast.Attribute):
            assert node.attr not in YOUNGER
        elif isinstance(node, ast.keyword):
            assert node.arg not in YOUNGER
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "importlib.import_module",
            "library",
            "first_of",
        ):
            names = {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
            assert names <= RUNTIMES
        elif isinstance(node, (ast.FunctionDef, ast.Lambda)):
            assert not node.args.posonlyargs
        elif isinstance(node, ast.With):
            assert len(node.items) == 1


def test_the_board_is_filled_in():
    text = run_py(load_board("jetson-nano"), [SimpleNamespace(file="a.onnx", size=(480, 270))])
    values = {node.targets[0].id: node.value for node in ast.parse(text).body if isinstance(node, ast.Assign)}
    assert ast.literal_eval(values["BOARD"]) == "jetson-nano"
    assert ast.literal_eval(values["MODELS"]) == {"a.onnx": (480, 270)}
    assert "nvarguscamerasrc" in ast.literal_eval(values["CAMERA"])
    assert "sharpline.lab" not in text


# Tiles


@given(length=st.integers(1, 300), tile=st.integers(1, 80), halo=st.integers(0, 12), multiple=st.integers(1, 4))
def test_tiles_of_any_size_are_those_of_the_runtime(length, tile, halo, multiple):
    ours = [tuple(span) for span in tiles.any_size(length, tile, halo, multiple)]
    assert ours == [(s.start, s.stop, s.first, s.last) for s in tiling.spans(length, tile, halo, multiple)]


@given(data=st.data(), halo=st.integers(0, 12))
def test_tiles_of_one_size_keep_pixels_that_see_no_border_but_the_picture_s(data, halo):
    tile = data.draw(st.integers(2 * halo + 1, 90))
    length = data.draw(st.integers(max(1, 2 * halo), 300))
    spans = tiles.one_size(length, tile, halo)
    assert [span.first for span in spans] == [0] + [span.last for span in spans[:-1]]
    assert spans[-1].last == length
    for span in spans:
        assert span.stop - span.start == tile
        for pixel in range(span.first, span.last):
            assert span.start == 0 or pixel - span.start >= halo
            assert span.stop == length or span.stop - 1 - pixel >= halo


def test_tiles_that_are_all_halo_are_refused():
    with pytest.raises(folder.RunError, match="all halo"):
        tiles.one_size(100, 10, 5)


# Engines


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "nope"], "--model nope: not a model file of this folder; there are net-fp32.onnx"),
        (["--engine", "litert"], "--engine litert: no file of this folder is for it"),
        (["--engine", "litert", "--model", "net-fp32.onnx"], "--engine litert: no file of this folder but another is"),
    ],
)
def test_what_the_folder_does_not_have_is_said(any_size_folder, tmp_path, capsys, options, words):
    assert run(any_size_folder, save_picture(tmp_path / "lr.png", PICTURE), *options) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: {words}")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("size", [(1, 1), (7, 61), (90, 120)])
def test_any_size_equals_sharpline(small_network, any_size_folder, tmp_path, engine, size):
    lr = PICTURE[: size[0], : size[1]]
    source = save_picture(tmp_path / "lr.png", lr)
    assert (
        run(any_size_folder, source, "-o", tmp_path / "sr.png", "--engine", engine, "--tile", "20", "--threads", 1) == 0
    )
    difference = np.abs(pixels_of(tmp_path / "sr.png") - Upscaler(small_network, engine="ort")(lr))
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 1e-3


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "opencv"])
@pytest.mark.parametrize("size", [(6, 6), (16, 24), (11, 90), (90, 7), (53, 77)])
def test_tiles_of_one_size_equal_the_whole_picture(small_network, one_size_folder, tmp_path, engine, size):
    if engine == "opencv" and not hasattr(pytest.importorskip("cv2"), "dnn"):
        pytest.skip("this OpenCV has no dnn")
    lr = PICTURE[: size[0], : size[1]]
    source = save_picture(tmp_path / "lr.png", lr)
    assert run(one_size_folder, source, "-o", tmp_path / "sr.png", "--engine", engine, "--threads", 1) == 0
    difference = np.abs(pixels_of(tmp_path / "sr.png") - Upscaler(small_network, engine="ort")(lr))
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 1e-3


def test_a_side_below_twice_the_receptive_field_is_told(small_network, one_size_folder, tmp_path, capsys):
    source = save_picture(tmp_path / "lr.png", PICTURE[:5, :40])
    assert run(one_size_folder, source, "-o", tmp_path / "sr.png", "--engine", "onnxruntime") == 0
    assert "less than 6 pixels" in capsys.readouterr().err
    assert pixels_of(tmp_path / "sr.png").shape == (10, 80, 3)


def test_integers_in_litert_equal_onnx_runtime_to_the_byte(tmp_path):
    pytest.importorskip("ai_edge_litert")
    from sharpline.runtime.formats.tflite_integer import integer_tflite
    from sharpline.runtime.integer_graph import integer_model

    model = open_model("edge-s-x4", precision="int8").graph
    integers = integer_model(model)
    files = {
        "any-int8.tflite": (integer_tflite(integers), None),
        "one-int8.tflite": (integer_tflite(integers, "edgetpu", (32, 40)), (40, 32)),
    }
    place = write_folder(tmp_path / "board", model, files)
    lr = PICTURE[:50, :70]
    source = save_picture(tmp_path / "lr.png", lr)
    expected = Upscaler(model, engine="ort")(lr)
    for name in files:
        assert run(place, source, "-o", tmp_path / "sr.png", "--model", name, "--overwrite", "--threads", 1) == 0
        assert np.array_equal(pixels_of(tmp_path / "sr.png"), expected), name


def test_ncnn(small_network, tmp_path):
    pytest.importorskip("ncnn")
    pytest.importorskip("pnnx")
    from sharpline.lab.boards.made import Options
    from sharpline.lab.boards.ncnn import ncnn_fp32
    from sharpline.lab.boards.source import open_source

    source = open_source(str(save(small_network, tmp_path / "net.onnx")))
    (made,) = ncnn_fp32(source, tmp_path, Options())
    files = {name: ((tmp_path / name).read_bytes(), None) for name in (made.file, *made.also)}
    place = write_folder(tmp_path / "board", small_network, files, "android-ncnn")
    lr = PICTURE[:33, :47]
    lr_file = save_picture(tmp_path / "lr.png", lr)
    assert run(place, lr_file, "-o", tmp_path / "sr.png", "--tile", 16, "--threads", 1) == 0
    difference = np.abs(pixels_of(tmp_path / "sr.png") - Upscaler(small_network, engine="ort")(lr))
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 1e-3


def test_the_fastest_compiled_variant_comes_first(monkeypatch):
    names = ["net.arm64-neon.so", "net.x86-64-avx2.so", "net.x86-64-avx512vnni.so", "net.onnx"]
    monkeypatch.setattr(choice, "targets", lambda: ["x86-64-avx512vnni", "x86-64-avx2"])
    monkeypatch.setattr(choice, "MODELS", {"net.onnx": None})
    found = [(name, engine) for name, engine, _ in choice.candidates(dict.fromkeys(names, ""))]
    assert found[:3] == [
        ("net.x86-64-avx512vnni.so", "compiled"),
        ("net.x86-64-avx2.so", "compiled"),
        ("net.onnx", "onnxruntime"),
    ]


def test_a_compiled_network_equals_onnx_runtime_to_the_byte(tmp_path):
    pytest.importorskip("halide")
    targets = fitting_targets()
    if not targets:
        pytest.skip("no compiled variant is for this processor")
    model = save(open_model("edge-s-x4", precision="int8").graph, tmp_path / "net.onnx")
    compiling = [sys.executable, "-m", "sharpline", "compile", str(model), "--target", targets[-1]]
    subprocess.run(compiling, check=True, capture_output=True)
    name = library_of(model, targets[-1]).name
    place = write_folder(tmp_path / "board", onnx.load(model), {name: ((tmp_path / name).read_bytes(), None)})
    lr_file = save_picture(tmp_path / "lr.png", PICTURE)
    assert run(place, lr_file, "-o", tmp_path / "sr.png", "--tile", 50) == 0
    assert np.array_equal(pixels_of(tmp_path / "sr.png"), Upscaler(str(model), engine="ort")(PICTURE))


class FakeCuda:
    """The GPU's memory is the host's."""

    def __init__(self):
        self.memory = {}

    def allocate(self, size):
        self.memory[len(self.memory) + 1] = np.zeros(size, np.uint8)
        return len(self.memory)

    def copy(self, to, source, size, to_device):
        if to_device:
            ctypes.memmove(self.memory[to].ctypes.data, source, size)
        else:
            ctypes.memmove(to, self.memory[source].ctypes.data, size)


@pytest.mark.parametrize("version", ["8.2", "10.3"])
def test_tensorrt_is_spoken_to_by_its_documented_names(tmp_path, monkeypatch, version):
    """No TensorRT here: a stand-in with the names of each version's documentation, which doubles each pixel."""
    cuda, lr_shape, sr_shape = FakeCuda(), (1, 2, 3, 3), (1, 4, 6, 3)

    def execute(places):
        lr = cuda.memory[places[1]].view(np.float32).reshape(lr_shape)
        cuda.memory[places[0]].view(np.float32).reshape(sr_shape)[...] = lr.repeat(2, 1).repeat(2, 2)
        return True

    if version == "8.2":  # the output is binding 0
        engine = SimpleNamespace(
            num_bindings=2,
            binding_is_input=lambda i: i == 1,
            get_binding_shape=lambda i: (sr_shape, lr_shape)[i],
            get_binding_dtype=lambda i: "FLOAT",
            create_execution_context=lambda: SimpleNamespace(execute_v2=execute),
        )
    else:
        addresses = {}
        context = SimpleNamespace(
            set_tensor_address=lambda name, place: addresses.update({name: place}) or True,
            execute_async_v3=lambda stream: execute([addresses["sr"], addresses["lr"]]),
        )
        engine = SimpleNamespace(
            num_io_tensors=2,
            get_tensor_name=lambda i: ("sr", "lr")[i],
            get_tensor_mode=lambda name: {"lr": "in", "sr": "out"}[name],
            get_tensor_shape=lambda name: {"lr": lr_shape, "sr": sr_shape}[name],
            get_tensor_dtype=lambda name: "FLOAT",
            create_execution_context=lambda: context,
        )
    logger = type("Logger", (), {"ERROR": 2, "__init__": lambda self, level: None})
    trt = SimpleNamespace(
        __version__=version,
        Logger=logger,
        Runtime=lambda log: SimpleNamespace(deserialize_cuda_engine=lambda data: engine if data == b"plan" else None),
        TensorIOMode=SimpleNamespace(INPUT="in"),
        nptype=lambda kind: np.float32,
    )
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.setattr(devices, "Cuda", lambda: cuda)
    monkeypatch.setattr(folder, "HERE", str(tmp_path))
    (tmp_path / "net.engine").write_bytes(b"plan")
    (tmp_path / "other.engine").write_bytes(b"of another version")
    lr = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    assert np.array_equal(devices.open_tensorrt("net.engine", {}, 0).run(lr), lr.repeat(2, 0).repeat(2, 1))
    with pytest.raises(folder.RunError, match="built by another TensorRT"):
        devices.open_tensorrt("other.engine", {}, 0)
