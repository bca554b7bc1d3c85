"""ncnn files, run in ncnn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")
pytest.importorskip("ncnn", reason="ncnn is not installed: pip install ncnn pnnx")
pytest.importorskip("pnnx", reason="pnnx is not installed: pip install ncnn pnnx")

from board_folders import PICTURE, pixels_of, save_picture, write_folder  # noqa: E402
from networks_onnx import random_network  # noqa: E402
from random_integers import random_integers  # noqa: E402
from sharpline import Upscaler  # noqa: E402
from sharpline.errors import ModelError  # noqa: E402
from sharpline.lab.boards import ncnn, ncnn_module  # noqa: E402
from sharpline.lab.boards.made import Options, SourceModel  # noqa: E402
from sharpline.lab.boards.ncnn import ncnn_fp32, ncnn_runner  # noqa: E402
from sharpline.lab.boards.ncnn_module import on_levels  # noqa: E402
from sharpline.lab.boards.source import open_source  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training.validate import upscale  # noqa: E402
from sharpline.runtime.card import read_card  # noqa: E402
from sharpline.runtime.formats.orin import orin_graph  # noqa: E402
from sharpline.runtime.graph import to_float_io  # noqa: E402
from sharpline.runtime.integer import upscale_integer  # noqa: E402
from sharpline.runtime.integer_graph import integer_graph  # noqa: E402


def differences(model: SourceModel, folder, lr: np.ndarray) -> np.ndarray:
    (made,) = ncnn_fp32(model, folder, Options())
    assert sorted(path.name for path in folder.iterdir()) == sorted([made.file, *made.also])
    sr = made.runner(lr)
    assert sr.dtype == np.float32
    assert 0 <= sr.min() <= sr.max() <= 255
    return np.abs(np.rint(sr) - model.upscale(lr).astype(float))


@pytest.mark.parametrize("name", ["edge-m-x2", "edge-s-x4"])
def test_an_embedded_network_on_a_photograph(tmp_path, name) -> None:
    lr = np.ascontiguousarray(skimage.data.astronaut()[20:91, 150:231])
    difference = differences(open_source(name, precision="fp32"), tmp_path, lr)
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.999


@pytest.mark.parametrize(("scale", "colour"), [(3, "rgb"), (2, "y")])
def test_random_stacks_of_any_size(tmp_path, scale, colour) -> None:
    graph = random_network(scale, colour)
    model = SourceModel("random", read_card(graph), graph, Upscaler(graph))
    lr = np.random.default_rng(0).integers(0, 256, (13, 22, 3 if colour == "rgb" else 1), np.uint8)
    difference = differences(model, tmp_path, lr)
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.999


def test_integers_become_their_float_twin(tmp_path) -> None:
    model = open_source("edge-s-x4", precision="int8")
    lr = np.ascontiguousarray(skimage.data.astronaut()[20:60, 150:190])
    difference = differences(model, tmp_path, lr)
    assert difference.max() <= 6
    assert (difference == 0).mean() > 0.6


@pytest.mark.parametrize("top", [15, 255])
def test_the_twin_saturates_as_the_integers_do(top) -> None:
    """The module alone, against the float twin of the ONNX file."""
    import onnxruntime as ort

    integers = random_integers(3, 3, (3, 3, 1), top=top)
    graph = integer_graph(integers)
    source = SourceModel(
        "random", open_source("edge-s-x4").card, graph, lambda lr: upscale_integer(integers, lr), integers
    )
    lr = np.random.default_rng(0).integers(0, 256, (9, 14, 3)).astype(np.float32)
    session = ort.InferenceSession(to_float_io(graph).SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.clip(session.run(None, {"lr": lr[None]})[0][0], 0, 255)
    with torch.no_grad():
        sr = on_levels(source)(torch.from_numpy(lr).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(sr, expected, atol=0.01)


EDSR = {"family": "edsr", "scale": 2, "channels": 8, "blocks": 1}
LAPSRN = {"family": "lapsrn", "scale": 2, "channels": 8, "depth": 1}
FAMILIES = [  # the first of them are said in other words for pnnx
    LAPSRN,
    {"family": "rlfn", "scale": 2, "channels": 8, "inner": 8, "blocks": 1, "attention": 4},
    {"family": "rrdb", "scale": 2, "channels": 8, "growth": 4, "blocks": 1},
    EDSR,
]
OTHERS = [
    {"family": "compact", "scale": 2, "channels": 8, "depth": 2},
    {"family": "edsr", "scale": 4, "channels": 8, "blocks": 2, "mean_shift": True},
    {"family": "espcn", "scale": 3, "channels": 8, "inner": 4},
    {"family": "fsrcnn", "scale": 2, "channels": 8, "inner": 4, "depth": 1},
    {"family": "imdn", "scale": 2, "channels": 16, "blocks": 2},
    {"family": "lapsrn", "scale": 4, "channels": 8, "depth": 2},
    {"family": "rrdb", "scale": 4, "channels": 8, "growth": 4, "blocks": 1},
    {"family": "srcnn", "scale": 2, "channels": 8, "inner": 4},
    {"family": "srresnet", "scale": 2, "channels": 8, "blocks": 1},
    {"family": "vdsr", "scale": 2, "channels": 8, "depth": 3},
]


@pytest.fixture
def of_family(request) -> SourceModel:
    """A network with random weights; its graph and its card's receptive field are not those of the family."""
    torch.manual_seed(0)
    net = build(request.param).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.02 * torch.randn_like(weight)
    net = net.fold()
    card = read_card(random_network(net.config.scale, net.config.colour))
    card = card.model_copy(update={"tile_multiple": net.tile_multiple})
    graph = random_network(net.config.scale, net.config.colour)
    return SourceModel("net.safetensors", card, graph, lambda lr: upscale(net, lr), net=net)


@pytest.mark.parametrize(
    "of_family",
    [*FAMILIES, *(pytest.param(other, marks=pytest.mark.slow) for other in OTHERS)],
    ids=lambda c: f"{c['family']}-x{c['scale']}",
    indirect=True,
)
def test_every_family_becomes_a_file_of_the_same_function(tmp_path, of_family) -> None:
    lr = np.ascontiguousarray(skimage.data.astronaut()[40:66, 150:180, : of_family.card.channels])
    difference = differences(of_family, tmp_path, lr)
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.99


@pytest.mark.parametrize("of_family", [LAPSRN], indirect=True)
def test_what_pnnx_drops_is_refused(tmp_path, of_family, monkeypatch) -> None:
    """LapSRN as it is written: pnnx takes a slice that ends at -1 for none, and the picture grows by a row."""
    monkeypatch.setattr(ncnn_module, "in_ncnn_words", lambda net: net)
    with pytest.raises(ModelError, match=r"net\.safetensors: .*take ONNX instead"):
        ncnn_fp32(of_family, tmp_path, Options())


@pytest.mark.parametrize("of_family", [EDSR], indirect=True)
def test_what_ends_ncnn_does_not_end_the_export(tmp_path, of_family, monkeypatch) -> None:
    monkeypatch.setattr(ncnn, "_TRIAL", "import os; os.abort()")
    with pytest.raises(ModelError, match=r"net\.safetensors: .*take ONNX instead"):
        ncnn_fp32(of_family, tmp_path, Options())


@pytest.mark.parametrize("of_family", [EDSR], indirect=True)
def test_run_py_runs_a_network_whose_first_layer_works_in_place(tmp_path, of_family) -> None:
    """ncnn reads a count of owners that memory of Python's does not have: https://github.com/Tencent/ncnn/issues/1543."""
    (made,) = ncnn_fp32(of_family, tmp_path, Options())
    first = (tmp_path / made.file).read_text().splitlines()[3]
    assert first.startswith("BinaryOp"), "the first layer does not work in place any more: this tests nothing"
    files = {name: ((tmp_path / name).read_bytes(), None) for name in (made.file, *made.also)}
    place = write_folder(tmp_path / "phone", of_family.graph, files, "android-ncnn")
    save_picture(tmp_path / "lr.png", PICTURE[:24, :30])
    command = [sys.executable, str(place / "run.py"), str(tmp_path / "lr.png"), "-o", str(tmp_path / "sr.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert np.abs(pixels_of(tmp_path / "sr.png") - of_family.upscale(PICTURE[:24, :30])).max() <= 1


def test_other_graphs_need_their_checkpoint(tmp_path) -> None:
    graph = orin_graph(random_integers())
    model = SourceModel("net.onnx", open_source("edge-s-x4").card, graph, Upscaler.__call__)
    with pytest.raises(ModelError, match=r"net\.onnx: .*give the network's checkpoint"):
        ncnn_fp32(model, tmp_path, Options())


def test_files_that_are_none_are_refused(tmp_path) -> None:
    for name in ("a.param", "a.bin"):
        (tmp_path / name).write_text("nothing")
    with pytest.raises(ModelError, match=r"a\.param: ncnn cannot load it"):
        ncnn_runner(tmp_path / "a.param", tmp_path / "a.bin")
