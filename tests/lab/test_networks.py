"""Every registered network: shapes, counts, receptive field, folding, export."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.networks import build, families  # noqa: E402
from sharpline.lab.networks.edge import unpack  # noqa: E402
from sharpline.lab.networks.registry import measured_receptive_field  # noqa: E402

EXAMPLES = {
    "edge": [
        {"channels": 8, "depth": 2, "scale": 4},
        {"channels": 8, "depth": 3, "scale": 2, "expansion": 16},
        {"channels": 6, "depth": 1, "scale": 3, "colour": "y", "tail_kernel": 1},
        {"channels": 5, "depth": 0, "scale": 1},
    ]
}
EVERY = [{"family": family, **settings} for family in families() for settings in EXAMPLES[family]]
every_network = pytest.mark.parametrize("settings", EVERY, ids=str)


@every_network
@pytest.mark.parametrize("size", [(1, 1), (3, 17), (12, 9)])
def test_output_is_scale_times_the_input(settings: dict, size: tuple[int, int]) -> None:
    net = build(settings)
    n, c, (h, w), s = 2, net.config.colours, size, net.config.scale
    assert net(torch.rand(n, c, h, w)).shape == (n, c, h * s, w * s)


@every_network
def test_computed_receptive_field_is_the_measured_one(settings: dict) -> None:
    torch.manual_seed(0)
    net = build(settings).double()
    for p in net.parameters():  # all paths open: no dead ReLU hides a part of the field
        torch.nn.init.uniform_(p, 0.01, 0.1)
    probe = net.receptive_field + 4
    torch.set_default_dtype(torch.float64)
    try:
        assert measured_receptive_field(net, probe) == net.receptive_field
    finally:
        torch.set_default_dtype(torch.float32)


@every_network
def test_folded_network_is_the_same_function(settings: dict) -> None:
    torch.manual_seed(1)
    net = build(settings).eval()
    lr = torch.rand(1, net.config.colours, 11, 13)
    with torch.no_grad():
        torch.testing.assert_close(net.fold()(lr), net(lr), rtol=0, atol=2e-6)


@every_network
def test_parameters_are_kernels_and_biases_of_the_folded_form(settings: dict) -> None:
    net = build(settings)
    biases = sum(m.bias.numel() for m in net.convolutions())
    anchor = 9 * net.config.colours**2 * net.config.scale**2
    assert net.parameter_count() == net.macs_per_lr_pixel - anchor + biases


def test_unpack_puts_row_column_colour_where_they_belong() -> None:
    s, colours = 2, 3
    packed = torch.arange(s * s * colours).view(1, -1, 1, 1)
    assert unpack(packed, s)[0, :, 1, 0].tolist() == [6, 7, 8]  # row 1, column 0: block 2, three colours


def test_new_edge_starts_as_its_anchor_almost() -> None:
    torch.manual_seed(0)
    net = build({"family": "edge", "channels": 16, "depth": 4})
    lr = torch.rand(1, 3, 8, 8)
    anchor = torch.nn.functional.interpolate(lr, scale_factor=4, mode="bilinear")
    assert (net(lr) - anchor).abs().mean() < 0.2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"family": "egde"}, "edge"),
        ({"family": "edge", "chanels": 32}, "'channels'"),
        ({"family": "edge", "depth": -1}, "depth"),
        ({}, "edge"),
    ],
)
def test_wrong_settings_are_refused_with_the_right_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        build(settings)
