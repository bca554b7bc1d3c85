"""RRDB, RLFN and compact: the papers' sizes, and pictures of any size."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.networks.registry import parse, skeleton  # noqa: E402

NTIRE = {"channels": 46, "inner": 48, "blocks": 4}
SMALL = [
    {"family": "rrdb", "channels": 6, "growth": 3, "blocks": 1, "scale": 1},
    {"family": "rrdb", "channels": 6, "growth": 3, "blocks": 1, "scale": 2},
    {"family": "rrdb", "channels": 6, "growth": 3, "blocks": 1, "scale": 2, "stages": 1, "colour": "y"},
    {"family": "rrdb", "channels": 6, "growth": 3, "blocks": 1, "scale": 8, "stages": 3},
    {"family": "rlfn", "channels": 6, "inner": 7, "blocks": 2, "attention": 3, "scale": 3},
    {"family": "compact", "channels": 6, "depth": 2, "scale": 4, "colour": "y"},
]


@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        ({"family": "rrdb", "blocks": 6}, 4_467_779),  # Real-ESRGAN's anime_6B
        ({"family": "rlfn", "scale": 2}, 526_856),  # 527 K
        ({"family": "rlfn", **NTIRE}, 317_218),  # 0.317 M
        ({"family": "compact"}, 621_424),  # realesr-animevideov3
        ({"family": "compact", "depth": 32}, 1_213_296),  # realesr-general-x4v3
    ],
    ids=str,
)
def test_parameters_are_the_published(settings: dict, parameters: int) -> None:
    assert skeleton(parse(settings)).parameter_count() == parameters


@pytest.mark.parametrize("settings", SMALL, ids=str)
@pytest.mark.parametrize("size", [(1, 1), (2, 33), (14, 15), (17, 9)])
def test_any_size(settings: dict, size: tuple[int, int]) -> None:
    net = build(settings).eval()
    s = net.config.scale
    with torch.no_grad():
        sr = net(torch.rand(2, net.config.colours, *size))
    assert sr.shape == (2, net.config.colours, size[0] * s, size[1] * s)
    assert sr.isfinite().all()


@pytest.mark.parametrize(("scale", "multiple"), [(4, 1), (2, 2), (1, 4)])
def test_folded_rrdb_repeats_the_edge_and_cuts_it_off(scale: int, multiple: int) -> None:
    torch.manual_seed(0)
    net = build({"family": "rrdb", "channels": 6, "growth": 3, "blocks": 1, "scale": scale}).eval()
    assert net.tile_multiple == multiple
    lr = torch.rand(1, 3, 8, 12)
    lr[:, :, 7], lr[..., 11] = lr[:, :, 6].clone(), lr[..., 10].clone()
    lr[:, :, 7] = lr[:, :, 6]
    with torch.no_grad():
        whole, part = net(lr), net(lr[:, :, :7, :11])
    if multiple > 1:
        torch.testing.assert_close(part, whole[:, :, : 7 * scale, : 11 * scale])


def test_scale_that_the_stages_cannot_make() -> None:
    with pytest.raises(UsageError, match=r"stages: .*2 doublings cannot make scale 3"):
        build({"family": "rrdb", "scale": 3})


def test_rlfn_in_levels_is_rlfn_on_scaled_weights() -> None:
    torch.manual_seed(0)
    one = build({"family": "rlfn", "channels": 6, "inner": 6, "blocks": 1, "attention": 3, "scale": 2})
    levels = build({**one.config.model_dump(), "white": 255})
    state = one.state_dict()
    state |= {"head.weight": state["head.weight"] / 255}
    state |= {"tail.weight": state["tail.weight"] * 255, "tail.bias": state["tail.bias"] * 255}
    levels.load_state_dict(state)
    lr = torch.rand(1, 3, 20, 18)
    with torch.no_grad():
        torch.testing.assert_close(levels(lr), one(lr), rtol=1e-4, atol=1e-5)
