"""Older opsets, fixed sizes and float ends: the same function, told otherwise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import ModelError  # noqa: E402
from sharpline.lab.boards.made import Options, SourceModel  # noqa: E402
from sharpline.lab.boards.onnx_file import model_of  # noqa: E402
from sharpline.lab.boards.onnx_formats import onnx_fp32  # noqa: E402
from sharpline.lab.boards.onnx_rewrites import at_opset  # noqa: E402
from sharpline.lab.boards.parity import gate  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training.validate import upscale  # noqa: E402

ABOUT = {"name": "tiny", "card": {"version": "1", "description": "test", "licence": "CC0", "training_data": "none"}}
FAMILIES = [
    {"family": "edge", "channels": 8, "depth": 1, "scale": 2},
    {"family": "espcn", "channels": 8, "inner": 4, "scale": 3},
    {"family": "fsrcnn", "scale": 2},
    {"family": "imdn", "scale": 2},  # means over the picture, splits
]


def source(settings: dict) -> SourceModel:
    torch.manual_seed(1)
    net = build(settings).eval()
    graph, card = model_of(net, ABOUT)
    net = net.fold()
    return SourceModel("tiny", card, graph, lambda lr: upscale(net, lr), net=net)


@pytest.mark.parametrize("settings", FAMILIES, ids=lambda s: s["family"])
@pytest.mark.parametrize("size", [None, (64, 56)], ids=str)
def test_every_family_at_opset_13_with_float_ends(tmp_path: Path, settings: dict, size: tuple[int, int] | None) -> None:
    model = source(settings)
    made = onnx_fp32(model, tmp_path, Options(size=size, opset=13, ends="float32"))[0]
    written = onnx.load(tmp_path / made.file)
    onnx.checker.check_model(written, full_check=True)
    assert [(o.domain, o.version) for o in written.opset_import] == [("", 13)]
    assert written.ir_version <= 7
    if size is not None:
        dims = [d.dim_value for d in written.graph.input[0].type.tensor_type.shape.dim]
        assert dims[1:3] == [size[1], size[0]]
        assert "Shape" not in [node.op_type for node in written.graph.node]
    if model.card.tile_error is None:
        gate(made, model)


def test_our_shuffle_becomes_one_operator(tmp_path: Path) -> None:
    made = onnx_fp32(source(FAMILIES[0]), tmp_path, Options(opset=13, ends="float32"))[0]
    kinds = [node.op_type for node in onnx.load(tmp_path / made.file).graph.node]
    assert kinds.count("DepthToSpace") == 1
    assert "Split" not in kinds


def test_an_operator_that_is_too_young_is_named() -> None:
    x, y = (helper.make_tensor_value_info(n, 1, [1, 3]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Mish", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    with pytest.raises(ModelError, match="Mish is not in opset 13"):
        at_opset(model, 13, "net.onnx")


def test_a_use_that_is_too_young_is_named() -> None:
    x, y = (helper.make_tensor_value_info(n, 1, [1, 3, 4, 4]) for n in "xy")
    node = helper.make_node("Resize", ["x", "", "k"], ["y"], mode="linear", antialias=1)
    stored = [numpy_helper.from_array(np.ones(4, np.float32), "k")]
    model = helper.make_model(
        helper.make_graph([node], "g", [x], [y], stored), opset_imports=[helper.make_opsetid("", 18)]
    )
    with pytest.raises(ModelError, match="Resize with antialias"):
        at_opset(model, 13, "net.onnx")
