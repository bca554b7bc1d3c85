"""Every registered network: shapes, counts, receptive field, tiles, folding, learning, its settings."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.networks import build, families, parse  # noqa: E402
from sharpline.lab.networks.registry import skeleton, thin  # noqa: E402

EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "compact": [{"channels": 6, "depth": 2}],
    "edge": [
        {"channels": 8, "depth": 2, "scale": 4},
        {"channels": 8, "depth": 3, "scale": 2, "expansion": 16},
        {"channels": 6, "depth": 1, "scale": 3, "colour": "y", "tail_kernel": 1},
        {"channels": 5, "depth": 0, "scale": 1},
    ],
    "edsr": [{"channels": 6, "blocks": 2}, {"channels": 6, "blocks": 1, "scale": 3, "mean_shift": True}],
    "espcn": [{"channels": 8, "inner": 6}],
    "fsrcnn": [{"channels": 8, "inner": 4, "depth": 2}, {"channels": 8, "inner": 4, "scale": 3, "colour": "rgb"}],
    "imdn": [{"channels": 8, "blocks": 2}, {"channels": 8, "blocks": 1, "form": "ntire"}],
    "lapsrn": [{"channels": 6, "depth": 2}, {"channels": 6, "depth": 1, "scale": 8}],
    "rlfn": [{"channels": 8, "inner": 8, "blocks": 1, "attention": 4}],
    "rrdb": [{"channels": 6, "growth": 4, "blocks": 1}],
    "srcnn": [{"channels": 8, "inner": 6}, {"channels": 8, "inner": 6, "scale": 3, "form": "9-1-5"}],
    "srresnet": [{"channels": 6, "blocks": 1}, {"channels": 6, "blocks": 1, "scale": 2, "norm": False}],
    "vdsr": [{"channels": 8, "depth": 4}, {"channels": 8, "depth": 3, "scale": 2, "colour": "rgb"}],
}
EVERY = [{"family": family, **settings} for family in families() for settings in EXAMPLES[family]]
every_network = pytest.mark.parametrize("settings", EVERY, ids=str)
SCALES = {
    "compact": range(1, 9),
    "edge": range(1, 9),
    "edsr": (2, 3, 4),
    "espcn": (2, 3, 4),
    "fsrcnn": (2, 3, 4),
    "imdn": range(1, 9),
    "lapsrn": (2, 4, 8),
    "rlfn": range(1, 9),
    "rrdb": (1, 2, 4),
    "srcnn": (2, 3, 4),
    "srresnet": (2, 4),
    "vdsr": (2, 3, 4),
}
# Parameters of each paper's network: ours, counted, and what is published.
PAPERS = [
    ({"family": "srcnn", "form": "9-1-5"}, 8_129, "8,032 weights (TPAMI 2016, table 1) + 97 biases"),
    ({"family": "srcnn"}, 57_281, "57,184 weights (FSRCNN, table 1) + 97 biases"),
    ({"family": "vdsr"}, 665_921, "664,704 weights (665 K) + 1,217 biases"),
    ({"family": "fsrcnn"}, 12_809, "12,464 weights (ECCV 2016, table 1) + 173 biases + 172 slopes of PReLU"),
    ({"family": "espcn", "scale": 3}, 22_729, "22,624 weights + 105 biases; the paper has no number"),
    ({"family": "espcn"}, 24_752, "25 K, as later papers count"),
    ({"family": "srresnet"}, 1_545_238, "1.5 M (EDSR, table 1); 1,547,350 before its norms are folded"),
    ({"family": "edsr", "scale": 2}, 1_369_859, "1.37 M"),
    ({"family": "edsr"}, 1_517_571, "1,517,571 (1.5 M)"),
    ({"family": "lapsrn", "scale": 2}, 407_441, "406,672 weights + 769 biases"),
    ({"family": "lapsrn"}, 814_242, "812 K: 812,768 weights + 1,474 biases"),
    ({"family": "lapsrn", "scale": 8, "depth": 5}, 667_123, "5 convolutions a level for x8"),
    ({"family": "imdn"}, 715_176, "715,176 (715 K)"),
    ({"family": "rrdb"}, 16_697_987, "16,697,987 (16.7 M)"),
    ({"family": "rlfn"}, 543_740, "543 K"),
]


@every_network
@pytest.mark.parametrize("size", [(1, 1), (3, 17), (12, 9)])
def test_output_is_scale_times_the_input(settings: dict, size: tuple[int, int]) -> None:
    net = build(settings)
    n, c, (h, w), s = 2, net.config.colours, size, net.config.scale
    assert net(torch.rand(n, c, h, w)).shape == (n, c, h * s, w * s)


@pytest.mark.parametrize("family", families())
def test_every_allowed_scale_works_and_every_other_is_refused(family: str) -> None:
    settings = {"family": family, **EXAMPLES[family][0]}
    for scale in range(10):
        if scale in SCALES[family]:
            net = build(settings | {"scale": scale})
            assert net(torch.rand(1, net.config.colours, 2, 3)).shape[2:] == (2 * scale, 3 * scale)
        else:
            with pytest.raises(UsageError, match="scale"):
                build(settings | {"scale": scale})


@pytest.mark.parametrize(("settings", "count", "published"), PAPERS, ids=str)
def test_parameter_count_is_the_papers(settings: dict, count: int, published: str) -> None:
    assert sum(p.numel() for p in skeleton(parse(settings)).parameters()) == count


def reach_of_the_gradient(net: torch.nn.Module, reach: int) -> int:
    """Distance in LR pixels of the farthest input that the pixels over the middle one depend on."""
    middle, size, s = reach, 2 * reach + 1, net.config.scale
    lr = torch.rand(1, net.config.colours, size, size, dtype=torch.double, requires_grad=True)
    sr = net(lr)[:, :, middle * s : (middle + 1) * s, middle * s : (middle + 1) * s]
    weights = torch.rand_like(sr)  # an even sum would hide inputs whose parts cancel
    (sr * weights).sum().backward()
    seen = torch.nonzero(lr.grad.abs().sum((0, 1))) - middle
    return int(seen.abs().max())


def with_open_paths(settings: dict) -> torch.nn.Module:
    """A network with positive weights: no dead ReLU hides a part of the picture, nothing saturates."""
    torch.manual_seed(0)
    net = build(settings).double().eval()
    for p in net.parameters():
        torch.nn.init.uniform_(p, 0.5, 1)
        with torch.no_grad():
            p.div_(p[0].numel())
    return net


@every_network
def test_computed_receptive_field_is_that_of_the_gradient(settings: dict) -> None:
    net = with_open_paths(settings)
    if net.receptive_field is None:
        assert reach_of_the_gradient(net, 40) > 15  # their convolutions alone reach less
    else:
        zeros = 1 if settings["family"] in ("srcnn", "vdsr") else 0  # bicubic's 5x5 kernels have a side of zeros
        assert net.receptive_field - reach_of_the_gradient(net, net.receptive_field + 4) in (0, zeros)


@every_network
def test_a_tile_with_its_receptive_field_is_exact(settings: dict) -> None:
    net = with_open_paths(settings)
    s, exact, halo = net.config.scale, net.receptive_field is not None, net.receptive_field or 20
    lr = torch.rand(1, net.config.colours, 2 * halo + 9, 2 * halo + 10, dtype=torch.double)
    with torch.no_grad():
        whole, tile = net(lr), net(lr[:, :, 3 : 2 * halo + 6, 4 : 2 * halo + 9])
    inner = tile[:, :, halo * s : (halo + 3) * s, halo * s : (halo + 5) * s]
    same = whole[:, :, (3 + halo) * s : (6 + halo) * s, (4 + halo) * s : (9 + halo) * s]
    assert torch.allclose(inner, same, rtol=1e-11, atol=0) is exact


@every_network
def test_folded_network_is_the_same_function(settings: dict) -> None:
    torch.manual_seed(1)
    net = build(settings).eval()
    for name, buffer in net.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 2)
    lr = torch.rand(1, net.config.colours, 11, 13)
    with torch.no_grad():
        torch.testing.assert_close(net.fold()(lr), net(lr), rtol=1e-5, atol=2e-6)


@every_network
def test_a_step_against_the_gradient_lowers_the_loss_and_moves_every_parameter(settings: dict) -> None:
    torch.manual_seed(0)
    net = build(settings).double()
    c, s = net.config.colours, net.config.scale
    lr, hr = torch.rand(2, c, 17, 16).double(), torch.rand(2, c, 17 * s, 16 * s).double()
    before = (net(lr) - hr).square().mean()
    before.backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
    norm = sum(float(p.grad.square().sum()) for p in net.parameters()) ** 0.5
    with torch.no_grad():
        for p in net.parameters():
            p.sub_(p.grad, alpha=1e-4 / norm)
    assert (net(lr) - hr).square().mean() < before


@every_network
def test_a_configuration_written_down_builds_the_same_network(settings: dict) -> None:
    net = build(settings)
    again = build(parse(net.config.model_dump()))
    assert again.config == net.config
    again.load_state_dict(net.state_dict())
    lr = torch.rand(1, net.config.colours, 4, 5)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(lr), net.eval()(lr), rtol=0, atol=0)


@pytest.mark.parametrize("family", families())
def test_the_thin_copy_has_the_form_of_its_network_at_a_fraction_of_its_cost(family: str) -> None:
    config = parse({"family": family})
    whole, narrow = skeleton(config), skeleton(thin(config))
    assert [type(m) for m in narrow.modules()] == [type(m) for m in whole.modules()]
    assert sum(p.numel() for p in narrow.parameters()) < sum(p.numel() for p in whole.parameters()) / 5


@pytest.mark.parametrize(
    ("settings", "macs"),
    [
        ({"family": "edge", "channels": 48, "depth": 5, "tail_kernel": 1}, 108_576),  # edge-m-x4
        ({"family": "edge", "channels": 24, "depth": 4, "tail_kernel": 1, "expansion": 96}, 23_832),  # edge-s-x4
        ({"family": "edge", "channels": 48, "depth": 5, "tail_kernel": 1, "scale": 2}, 105_876),  # edge-m-x2
        ({"family": "fsrcnn"}, 12_464),  # every weight once for each LR pixel
        ({"family": "srcnn", "form": "9-1-5"}, 8_032 * 16 + 25 * 16),  # at the output's size; bicubic is a 5x5
        ({"family": "vdsr", "scale": 3}, 664_704 * 9 + 25 * 9),
        ({"family": "imdn"}, 1_728 + 6 * 103_168 + 24_576 + 36_864 + 27_648),  # its attention is once a picture
    ],
    ids=str,
)
def test_multiply_accumulates_are_counted(settings: dict, macs: int) -> None:
    assert build(settings).macs_per_lr_pixel == macs


def test_reading_facts_uses_no_random_numbers_and_changes_nothing() -> None:
    net = build({"family": "srresnet", "channels": 5, "blocks": 2}).train()
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    assert net.receptive_field is not None
    assert net.macs_per_lr_pixel
    assert net.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"family": "egde"}, "edge"),
        ({"family": "edge", "chanels": 32}, "'channels'"),
        ({"family": "edge", "depth": -1}, "depth"),
        ({"family": "srcnn", "form": "9-3-5"}, "form.*'9-1-5' or '9-5-5'"),
        ({"family": "edsr", "mean_shift": True, "colour": "y"}, "mean_shift"),
        ({}, "edge"),
    ],
)
def test_wrong_settings_are_refused_with_the_right_name(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        build(settings)
