"""The edge family: what Muon may update, the names in checkpoints, the first output."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.networks.edge import unpack  # noqa: E402


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


def test_names_and_shapes_are_those_of_the_checkpoints_that_exist() -> None:
    net = build({"family": "edge", "channels": 4, "depth": 1, "scale": 2, "expansion": 5, "tail_kernel": 1})
    assert {name: tuple(value.shape) for name, value in net.state_dict().items()} == {
        "head.weight": (4, 27), "head.bias": (4,), "head.expand": (5, 27), "head.squeeze": (4, 5),
        "body.0.weight": (4, 36), "body.0.bias": (4,), "body.0.expand": (5, 36), "body.0.squeeze": (4, 5),
        "tail.weight": (12, 4), "tail.bias": (12,), "tail.expand": (5, 4), "tail.squeeze": (12, 5),
    }  # fmt: skip


def test_muon_gets_the_matrices_before_the_tail() -> None:
    net = build({"family": "edge", "channels": 4, "depth": 1, "scale": 2, "expansion": 5})
    names = {id(p): name for name, p in net.named_parameters()}
    assert [names[id(p)] for p in net.hidden_kernels()] == [
        f"{layer}.{kernel}" for layer in ("head", "body.0") for kernel in ("weight", "expand", "squeeze")
    ]


def test_parameters_are_kernels_and_biases_of_the_folded_form() -> None:
    net = build({"family": "edge", "channels": 8, "depth": 3, "scale": 2, "expansion": 16})
    biases = sum(m.bias.numel() for m in net.convolutions())
    assert net.parameter_count() == net.macs_per_lr_pixel - 9 * 9 * 4 + biases
