"""The simulation is the integer network: byte for byte, with any bits, and it learns."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import ModelError  # noqa: E402
from sharpline.lab.compression.quantization import (  # noqa: E402
    QuantizationConfig,
    calibrate,
    quantize,
    save_integer,
    to_integer,
)
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.networks.integer import from_integer  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, save_network, write_tensors  # noqa: E402
from sharpline.lab.training.validate import upscale  # noqa: E402
from sharpline.runtime.integer import IntegerLayer, IntegerModel, is_pair_safe, upscale_integer  # noqa: E402

BITS = [
    {},
    {"weights": 4},
    {"weights": 4, "activations": 4, "activation_rule": "pact"},
    {"weights": 2},
    {"weights": 2, "weight_rule": "dorefa"},
    {"weights": 4, "weight_rule": "dorefa"},
    {"weights": 1, "layers": {"tail": {"activations": 4}}},
]


@pytest.mark.parametrize("bits", BITS, ids=str)
def test_simulation_equals_the_integers_on_real_pictures(edge, simulate, pictures, bits) -> None:
    net = simulate(edge(), **bits)
    model = to_integer(net)
    for picture in pictures:
        np.testing.assert_array_equal(upscale(net, picture), upscale_integer(model, picture))
    assert is_pair_safe(model.layers)
    assert [layer.bits for layer in model.layers[1:-1]] == [bits.get("weights", 8)] * 2


@pytest.mark.parametrize(
    "settings", [{"scale": 2, "tail_kernel": 3}, {"scale": 3, "colour": "y"}, {"channels": 7, "expansion": 5}], ids=str
)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 2)])
def test_simulation_equals_the_integers_in_any_form_and_size(edge, simulate, settings, size) -> None:
    net = simulate(edge(**settings), bias_correction=True)
    lr = np.random.default_rng(0).integers(0, 256, (*size, net.config.colours), np.uint8)
    np.testing.assert_array_equal(upscale(net, lr), upscale_integer(to_integer(net), lr))


@pytest.mark.parametrize("clipping", ["minmax", "percentile", "mse", "aciq"])
def test_eight_bits_stay_close_to_the_float_network(edge, simulate, pictures, clipping) -> None:
    net = edge()
    lr = pictures[0]
    error = np.abs(upscale(simulate(net, clipping=clipping), lr).astype(int) - upscale(net, lr))
    assert error.mean() < 0.6
    coarse = upscale(simulate(net, clipping=clipping, weights=1), lr).astype(int) - upscale(net, lr)
    assert np.abs(coarse).mean() > 2 * error.mean(), "the network has no detail that bits could matter for"


def test_bias_correction_moves_means_back(edge, pictures) -> None:
    net = edge()
    seen = calibrate(net, pictures)

    def shift(correct: bool) -> float:
        simulation = quantize(net, QuantizationConfig(weights=2, bias_correction=correct), seen)
        moved = [upscale(simulation, p).astype(float) - upscale(net, p) for p in pictures]
        return float(np.abs(np.concatenate([m.reshape(-1, 3) for m in moved]).mean(0)).max())

    assert shift(True) < 0.5 * shift(False)


def test_autocast_does_not_touch_integers(edge, simulate, pictures) -> None:
    net = simulate(edge())
    plain = upscale(net, pictures[0])
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(upscale(net, pictures[0]), plain)


@pytest.mark.parametrize("bits", BITS, ids=str)
def test_every_parameter_learns(edge, simulate, pictures, bits) -> None:
    net = simulate(edge(), **bits).train()
    lr = torch.from_numpy(pictures[0]).permute(2, 0, 1)[None].float() / 255
    net(lr).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_a_thinned_network_keeps_its_widths(edge, simulate, pictures) -> None:
    widths = {"head": [3, 10], "body.0": [10, 6], "body.1": [6, 12], "tail": [12, 48]}
    net = build({**edge().plain().config.model_dump(), "plain": True, "widths": widths}).eval()
    model = to_integer(simulate(net))
    assert [layer.weight.shape[:2] for layer in model.layers] == [(10, 3), (6, 10), (12, 6), (48, 12)]


@pytest.mark.parametrize("bits", BITS, ids=str)
def test_a_packed_checkpoint_holds_the_very_same_integers(edge, simulate, tmp_path, bits) -> None:
    model = to_integer(simulate(edge(channels=15 if not bits else 16), **bits))
    path = tmp_path / "packed.safetensors"
    save_integer(path, model, {"name": "packed", "card": {}})
    net, about = load_network(path)
    again = to_integer(net)
    assert about["name"] == "packed"
    np.testing.assert_array_equal(again.anchor, model.anchor)
    for new, old in zip(again.layers, model.layers, strict=True):
        assert (new.name, new.top) == (old.name, old.top)
        for part in ("weight", "bias", "multiplier"):
            np.testing.assert_array_equal(getattr(new, part), getattr(old, part))
            assert getattr(new, part).dtype == getattr(old, part).dtype


def test_packed_weights_take_their_bits(tmp_path) -> None:
    rng, shape, sizes = np.random.default_rng(0), (12, 3, 65, 65), {}
    for bits, values in {8: np.arange(-127, 128), 4: np.arange(-8, 8), 2: [-3, -1, 1, 3], 1: [-1, 1]}.items():
        weight = rng.choice(np.array(values, np.int8), shape)
        layer = IntegerLayer("tail", weight, np.zeros(12, np.int32), np.ones(12, np.float32))
        save_integer(tmp_path / "x.safetensors", IntegerModel((layer,), 2, 3), {"name": "x", "card": {}})
        sizes[bits] = (tmp_path / "x.safetensors").stat().st_size
    for bits in (4, 2, 1):
        assert sizes[8] - sizes[bits] == pytest.approx(np.prod(shape) * (1 - bits / 8), abs=300)


def test_a_packed_checkpoint_that_does_not_fit_itself(edge, simulate, tmp_path) -> None:
    from sharpline.lab.networks.packing import pack_integer

    tensors, form = pack_integer(to_integer(simulate(edge(), weights=4)))
    form["layers"][1]["shape"][0] = 99
    write_tensors(tmp_path / "bad.safetensors", tensors, {"integer": form, "name": "x", "card": {}})
    with pytest.raises(ModelError, match=r"bad\.safetensors"):
        load_network(tmp_path / "bad.safetensors")


def test_a_checkpoint_of_the_simulation_learns_on_where_it_was(edge, simulate, tmp_path, pictures) -> None:
    net = simulate(edge(), weights=4, activations=4)
    save_network(tmp_path / "q.safetensors", net, {"name": "q", "card": {}})
    again, _ = load_network(tmp_path / "q.safetensors")
    assert again.config == net.config
    np.testing.assert_array_equal(upscale(again, pictures[0]), upscale(net, pictures[0]))


def test_the_way_back_from_integers_is_exact(edge, simulate, pictures) -> None:
    model = to_integer(simulate(edge(), weights=1, activations=4))
    np.testing.assert_array_equal(upscale(from_integer(model), pictures[0]), upscale_integer(model, pictures[0]))
