"""From a run to a model file that the runtime opens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline import Upscaler  # noqa: E402
from sharpline.errors import ModelError  # noqa: E402
from sharpline.lab.boards.onnx_file import check_parity, export_onnx, write_model  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, save_network  # noqa: E402
from sharpline.lab.training.validate import upscale  # noqa: E402

CARD = {"version": "1", "description": "test", "licence": "CC0", "training_data": "noise"}
SHAPES = [
    {"channels": 8, "depth": 2, "scale": 4},
    {"channels": 8, "depth": 1, "scale": 2, "tail_kernel": 1, "expansion": 4},
    {"channels": 4, "depth": 0, "scale": 3, "colour": "y"},
]


def checkpoint(folder: Path, settings: dict) -> Path:
    torch.manual_seed(3)
    net = build({"family": "edge", **settings})
    for p in net.parameters():  # biases too, or their scaling would not be seen
        torch.nn.init.normal_(p, 0, 0.1)
    save_network(folder / "best.safetensors", net, {"name": "tiny", "card": CARD})
    return folder / "best.safetensors"


@pytest.mark.parametrize("settings", SHAPES, ids=str)
@pytest.mark.parametrize("size", [(1, 1), (13, 8)])
def test_exported_model_equals_the_network(tmp_path: Path, settings: dict, size: tuple[int, int]) -> None:
    path = checkpoint(tmp_path, settings)
    model, card = export_onnx(path)
    write_model(model, tmp_path / "tiny.onnx")
    net, _ = load_network(path)
    lr = np.random.default_rng(0).integers(0, 256, (*size, net.config.colours), np.uint8)
    sr = Upscaler(tmp_path / "tiny.onnx")(lr)
    assert np.abs(sr.astype(int) - upscale(net, lr)).max() <= 1
    assert card.macs_per_lr_pixel == net.macs_per_lr_pixel
    assert card.receptive_field == net.receptive_field
    assert card.parameters == net.parameter_count()


def test_file_is_a_valid_model_of_the_promised_opset(tmp_path: Path) -> None:
    model, _ = export_onnx(checkpoint(tmp_path, SHAPES[0]))
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert [i.type.tensor_type.elem_type for i in (*model.graph.input, *model.graph.output)] == [
        onnx.TensorProto.UINT8
    ] * 2


@pytest.mark.parametrize("harm", ["conv1.weight", "conv1.bias", "anchor.weight"])
def test_parity_check_sees_a_broken_export(tmp_path: Path, harm: str) -> None:
    path = checkpoint(tmp_path, SHAPES[0])
    model, _ = export_onnx(path)
    net, _ = load_network(path)
    for constant in model.graph.initializer:
        if constant.name == harm:
            broken = onnx.numpy_helper.to_array(constant)[::-1].copy()
            constant.CopyFrom(onnx.numpy_helper.from_array(broken, harm))
    with pytest.raises(ModelError, match="differs"):
        check_parity(model, net)


def test_measured_scores_stand_on_the_card(tmp_path: Path) -> None:
    import skimage.data
    from PIL import Image

    (tmp_path / "Cats").mkdir()
    Image.fromarray(skimage.data.chelsea()[:96, :128]).save(tmp_path / "Cats" / "cat.png")
    _, card = export_onnx(checkpoint(tmp_path, SHAPES[0]), name="named", measure=[tmp_path / "Cats"])
    assert card.name == "named"
    assert 5 < card.quality["Cats"].psnr_y < 60
