"""The INT8 file is the simulation, in both engines, whole and in tiles, and its float twin for deeper pictures."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline import Upscaler  # noqa: E402
from sharpline.errors import ModelError  # noqa: E402
from sharpline.lab.boards.onnx_file import check_parity, export_onnx, model_of  # noqa: E402
from sharpline.lab.compression.quantization import (  # noqa: E402
    QuantizationConfig,
    export_int8,
    quantize_traced,
    save_integer,
    to_integer,
)
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training.checkpoint import save_network  # noqa: E402
from sharpline.lab.training.validate import upscale  # noqa: E402
from sharpline.runtime.integer import is_pair_safe, upscale_integer  # noqa: E402

ABOUT = {"name": "tiny", "card": {"description": "test"}}
BITS = [{}, {"weights": 4, "activations": 4}, {"weights": 1}]


@pytest.fixture(params=["ort", "openvino"])
def engine(request) -> str:
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="the engine openvino is not installed")
    return request.param


@pytest.mark.parametrize("bits", BITS, ids=str)
def test_file_equals_the_simulation_on_real_pictures(edge, simulate, pictures, engine, bits) -> None:
    net = simulate(edge(), **bits)
    model, card = export_int8(net, ABOUT)
    assert (card.precision, card.scale, card.receptive_field) == ("int8", 4, 3)
    assert card.parameters == edge().parameter_count()
    run = Upscaler(model, engine=engine)
    for picture in pictures:
        error = np.abs(run(picture).astype(int) - upscale(net, picture))
        assert error.max() <= (0 if engine == "ort" else 1)
        assert (error == 0).mean() >= 0.98


@pytest.mark.parametrize(
    "settings", [{"tail_kernel": 3, "scale": 2}, {"colour": "y", "scale": 3}, {"channels": 7}, {"scale": 8}], ids=str
)
def test_every_form_is_exported_exactly(edge, simulate, engine, settings) -> None:
    net = simulate(edge(**settings))
    run = Upscaler(export_int8(net, ABOUT)[0], engine=engine)
    for size in ((1, 1), (5, 1), (23, 31)):
        lr = np.random.default_rng(1).integers(0, 256, (*size, net.config.colours), np.uint8)
        assert np.abs(run(lr).astype(int) - upscale(net, lr)).max() <= (0 if engine == "ort" else 1)


@pytest.mark.parametrize("channels", [15, 16])
def test_no_processor_saturates_between_two_products(edge, simulate, engine, channels) -> None:
    """White pictures on kernels of one sign: what ``vpmaddubsw`` cuts where weights are not pair-safe."""
    net = edge(channels=channels)
    with torch.no_grad():
        for conv in net.convolutions()[:-1]:
            conv.weight.abs_()
            conv.identity = None
    simulation = simulate(net)
    model = to_integer(simulation)
    assert max(int(np.abs(layer.weight).max()) for layer in model.layers) > 60
    assert is_pair_safe(model.layers)
    run = Upscaler(export_int8(simulation, ABOUT)[0], engine=engine)
    lr = np.full((20, 20, 3), 255, np.uint8)
    assert np.abs(run(lr).astype(int) - upscale_integer(model, lr)).max() <= (0 if engine == "ort" else 1)


def test_tiles_change_nothing(edge, simulate, pictures, engine) -> None:
    model, _ = export_int8(simulate(edge()), ABOUT)
    whole, tiled = (Upscaler(model, engine=engine, tile=tile)(pictures[0]) for tile in (512, 16))
    assert np.abs(whole.astype(int) - tiled).max() <= (0 if engine == "ort" else 1)


def test_deeper_pictures_do_not_pass_through_bytes(edge, simulate, pictures, engine) -> None:
    model, _ = export_int8(simulate(edge(), weights=4, activations=4), ABOUT)
    run = Upscaler(model, engine=engine)
    deep = pictures[0].astype(np.uint16) * 257
    sr = run(deep)
    assert sr.dtype == np.uint16
    assert len(np.unique(sr)) > 1000, "256 values at most would come out of bytes"
    assert np.abs(sr / 257 - run(pictures[0]).astype(float)).mean() < 4  # the roundings of 4 bits
    fine = run((deep + np.uint16(100)).clip(0, 65535).astype(np.uint16))
    assert (fine != sr).mean() > 0.9, "what is less than one of 255 levels got lost"


def test_an_even_surface_stays_exactly_what_it_is_without_details(edge, simulate) -> None:
    net = edge()
    with torch.no_grad():
        net.tail.weight.zero_()
        net.tail.bias.zero_()
    run = Upscaler(export_int8(simulate(net), ABOUT)[0])
    for level in (0, 1, 77, 254, 255):
        assert (run(np.full((4, 5, 3), level, np.uint8)) == level).all()


@pytest.mark.parametrize("part", ["body.0.weight", "body.1.bias", "tail.weight", "patches.weight"])
def test_the_gate_sees_a_broken_file(edge, simulate, part) -> None:
    net = simulate(edge())
    model, _ = export_int8(net, ABOUT)
    for constant in model.graph.initializer:
        if constant.name == part:
            broken = onnx.numpy_helper.to_array(constant)[::-1].copy()
            constant.CopyFrom(onnx.numpy_helper.from_array(broken, part))
    with pytest.raises(ModelError, match="differs"):
        check_parity(model, net)


def test_checkpoints_of_both_kinds_are_exported(edge, simulate, tmp_path, pictures) -> None:
    net = simulate(edge(), weights=4)
    about = {"name": "q", "card": {}}
    save_network(tmp_path / "learning.safetensors", net, about)
    save_integer(tmp_path / "packed.safetensors", to_integer(net), about)
    for name in ("learning", "packed"):
        model, card = export_onnx(tmp_path / f"{name}.safetensors")
        assert card.precision == "int8"
        np.testing.assert_array_equal(Upscaler(model)(pictures[1]), upscale(net, pictures[1]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"family": "rrdb", "channels": 8, "growth": 4, "blocks": 1},
        {"family": "edsr", "channels": 8, "blocks": 1, "scale": 2},
        {"family": "vdsr", "channels": 8, "depth": 3, "scale": 2},
    ],
    ids=lambda s: s["family"],
)
def test_other_families_become_int8_too(settings, pictures) -> None:
    torch.manual_seed(0)
    net = build(settings).eval()
    with torch.no_grad():
        if settings["family"] != "vdsr":  # its picture is there from the start
            [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)][-1].bias.add_(0.4)  # grey, not black
    seen = [p if net.config.colour == "rgb" else p[..., 1:2].copy() for p in pictures]
    model, card, agreement = quantize_traced(model_of(net, ABOUT)[0], seen, QuantizationConfig(clipping="minmax"))
    assert card.precision == "int8"
    weights = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    kernels = [w for w in weights if w.ndim == 4]
    learnt = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(kernels) == len(learnt)  # and the picture that VDSR adds to is enlarged in float
    assert max(int(np.abs(k.astype(int)).max()) for k in kernels) == 64
    run = Upscaler(model)
    mean_error = np.abs(run(seen[0]).astype(int) - upscale(net, seen[0])).mean()
    assert mean_error < 3
    assert agreement > 35
    deep = run(seen[0].astype(np.float32) / 255)
    assert np.abs(deep * 255 - run(seen[0])).mean() < 3
    assert len(np.unique(deep)) > 1000
