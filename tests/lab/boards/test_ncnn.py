"""ncnn files, run in ncnn."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")
pytest.importorskip("ncnn", reason="ncnn is not installed: pip install ncnn pnnx")
pytest.importorskip("pnnx", reason="pnnx is not installed: pip install ncnn pnnx")

from networks_onnx import random_network  # noqa: E402
from random_integers import random_integers  # noqa: E402
from sharpline import Upscaler  # noqa: E402
from sharpline.errors import ModelError  # noqa: E402
from sharpline.lab.boards.made import Options, SourceModel  # noqa: E402
from sharpline.lab.boards.ncnn import ncnn_fp32, ncnn_runner  # noqa: E402
from sharpline.lab.boards.ncnn_module import on_levels  # noqa: E402
from sharpline.lab.boards.source import open_source  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
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


def test_what_ends_ncnn_is_refused_and_not_run_here(tmp_path) -> None:
    """FSRCNN's bicubic enlargement flips the picture's edge: pnnx drops that, and ncnn reads outside."""
    net = build({"family": "fsrcnn", "scale": 2}).eval().fold()
    graph = random_network(2, net.config.colour)
    model = SourceModel("fsrcnn.safetensors", read_card(graph), graph, Upscaler(graph), net=net)
    with pytest.raises(ModelError, match=r"fsrcnn\.safetensors: .*take ONNX instead"):
        ncnn_fp32(model, tmp_path, Options())


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
