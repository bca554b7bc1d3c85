"""FSRCNN, compact and ESPCN in integers: PReLU and tanh, repeated borders, no anchor or another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from sharpline import Upscaler  # noqa: E402
from sharpline.lab.boards.onnx_file import export_onnx  # noqa: E402
from sharpline.lab.compression.quantization import export_int8, save_integer, to_integer  # noqa: E402
from sharpline.lab.compression.quantization.stack import as_convolution, plain_stack_of  # noqa: E402
from sharpline.lab.compression.quantization.steps import (  # noqa: E402
    bilinear_fractions,
    nearest_fractions,
    sums_kept,
    zero_level,
)
from sharpline.lab.networks import Network, build  # noqa: E402
from sharpline.lab.networks.edge import unpack  # noqa: E402
from sharpline.lab.networks.integer import from_integer  # noqa: E402
from sharpline.lab.training.validate import upscale  # noqa: E402
from sharpline.runtime.integer import is_pair_safe, upscale_integer  # noqa: E402

ABOUT = {"name": "tiny", "card": {"description": "test"}}
FAMILIES = {
    "fsrcnn x4": {"family": "fsrcnn", "scale": 4, "channels": 8, "inner": 4, "depth": 1},
    "fsrcnn x3": {"family": "fsrcnn", "scale": 3, "channels": 7, "inner": 3, "depth": 1},
    "fsrcnn x2 rgb": {"family": "fsrcnn", "scale": 2, "channels": 8, "inner": 4, "depth": 0, "colour": "rgb"},
    "compact x2": {"family": "compact", "scale": 2, "channels": 8, "depth": 2},
    "espcn x3": {"family": "espcn", "scale": 3, "channels": 8, "inner": 6},
    "espcn x2 rgb": {"family": "espcn", "scale": 2, "channels": 8, "inner": 6, "colour": "rgb"},
}
BITS = [{}, {"weights": 4, "activations": 4, "clipping": "mse"}, {"weights": 1, "activation_rule": "pact"}]


@pytest.fixture(params=FAMILIES)
def net(request: pytest.FixtureRequest) -> Network:
    """A network whose layers all matter, with slopes below 0 and above 1 too."""
    torch.manual_seed(0)
    net = build(FAMILIES[request.param])
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.PReLU):
                layer.weight.uniform_(-0.3, 1.2)
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                layer.bias.normal_(0, 0.05)
            if isinstance(layer, nn.ConvTranspose2d):
                layer.weight.normal_(0, 0.1)
    return net.eval()


@pytest.mark.parametrize("size", [(1, 1), (6, 5)])
def test_the_stack_is_the_network(net: Network, size: tuple[int, int]) -> None:
    stack, lr = plain_stack_of(net), torch.rand(1, net.config.colours, *size)
    x, s = lr * 255, net.config.scale
    with torch.no_grad():
        for layer in stack.layers[:-1]:
            x = layer.activate(layer.convolve(x))
        sr = unpack(stack.layers[-1].convolve(x), s) / 255
        if stack.anchor == "nearest":
            sr = sr + F.interpolate(lr, scale_factor=s, mode="nearest")
        torch.testing.assert_close(sr, net(lr), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bits", BITS, ids=str)
def test_simulation_equals_the_integers(net: Network, simulate, pictures, bits) -> None:
    simulation = simulate(net, **bits)
    model = to_integer(simulation)
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (*size, net.config.colours), np.uint8) for size in ((1, 1), (1, 9), (13, 2))]
    for picture in [pictures[0][..., : net.config.colours].copy(), *noise]:
        np.testing.assert_array_equal(upscale(simulation, picture), upscale_integer(model, picture))
    assert is_pair_safe(model.layers)
    assert not model.is_relu_stack
    assert (model.anchor is None) == (net.config.family != "compact")


def test_eight_bits_stay_close_to_the_floats(net: Network, simulate, pictures) -> None:
    lr = pictures[0][..., : net.config.colours].copy()
    error = np.abs(upscale(simulate(net, bias_correction=True), lr).astype(int) - upscale(net, lr))
    assert error.mean() < 1.5
    assert len(np.unique(upscale(net, lr))) > 30, "the network shows nothing"


def test_the_file_is_the_simulation(net: Network, simulate, pictures) -> None:
    simulation = simulate(net)
    model, card = export_int8(simulation, ABOUT)
    assert (card.precision, card.colour) == ("int8", net.config.colour)
    run, lr = Upscaler(model, engine="ort"), pictures[1][..., : net.config.colours].copy()
    error = np.abs(run(lr).astype(int) - upscale(simulation, lr))
    assert error.max() <= (net.config.family == "espcn")
    assert (error > 0).mean() < 0.001
    np.testing.assert_array_equal(Upscaler(model, engine="ort", tile=16)(lr), run(lr))


def test_the_way_back_and_the_packed_checkpoint_are_exact(net: Network, simulate, pictures, tmp_path: Path) -> None:
    model = to_integer(simulate(net, weights=4, activations=4))
    lr = pictures[1][..., : net.config.colours].copy()
    np.testing.assert_array_equal(upscale(from_integer(model), lr), upscale_integer(model, lr))
    save_integer(tmp_path / "packed.safetensors", model, ABOUT)
    exported, _ = export_onnx(tmp_path / "packed.safetensors")
    error = np.abs(Upscaler(exported)(lr).astype(int) - upscale_integer(model, lr))
    assert error.max() <= (net.config.family == "espcn")


@pytest.mark.parametrize("bits", BITS, ids=str)
def test_every_parameter_learns(net: Network, simulate, pictures, bits) -> None:
    simulation = simulate(net, **bits).train()
    lr = torch.from_numpy(pictures[0][..., : net.config.colours].copy()).permute(2, 0, 1)[None].float() / 255
    simulation(lr).square().sum().backward()
    for name, parameter in simulation.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@settings(max_examples=25, deadline=None)
@given(scale=st.integers(2, 5), side=st.sampled_from([3, 5, 7, 9]), height=st.integers(1, 6), seed=st.integers(0, 99))
def test_a_deconvolution_is_a_convolution_and_a_shuffle(scale: int, side: int, height: int, seed: int) -> None:
    torch.manual_seed(seed)
    kernel, x = torch.randn(3, 2, side, side), torch.randn(1, 3, height, 4)
    whole = F.conv_transpose2d(x, kernel, stride=scale)  # its pixel (side // 2) is the first one's middle
    expected = F.pad(whole, (0, scale, 0, scale))[..., side // 2 :, side // 2 :][..., : height * scale, : 4 * scale]
    found = as_convolution(kernel, scale)
    packed = F.conv2d(x, found, padding=found.shape[2] // 2)
    torch.testing.assert_close(unpack(packed, scale), expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), side=st.sampled_from([1, 3, 5]))
def test_sums_are_kept_and_no_weight_goes_far(seed: int, side: int) -> None:
    torch.manual_seed(seed)
    weight, step = torch.randn(4, 3, side, side), torch.rand(4) + 0.1
    wide = step[:, None, None, None]
    rounded = sums_kept(weight, step) / wide
    torch.testing.assert_close(rounded, rounded.round(), rtol=0, atol=1e-4)
    assert (rounded - weight / wide).abs().max() < 1 + 1e-4
    assert (rounded - weight / wide).sum((2, 3)).abs().max() < 0.5 + 1e-3


def test_the_level_of_0_serves_all_channels() -> None:
    assert zero_level(np.zeros(3), np.ones(3), 255) == 0
    assert zero_level(np.array([1.0, 0.0]), np.array([1.0, 0.0]), 255) in (127, 128)
    assert zero_level(np.array([9.0, 9.0]), np.array([1.0, 1.0]), 15) in (13, 14)


def test_repeated_pixels_are_an_anchor_too() -> None:
    for place in (place for row in nearest_fractions(3) for place in row):
        assert (place[4], sum(place)) == (1, 1)
    assert sum(bilinear_fractions(3)[0][2]) == 1
