"""What sets single families apart, and what their importers rely on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.networks.anchors import bicubic  # noqa: E402


def test_one_vdsr_serves_all_scales() -> None:
    torch.manual_seed(0)
    nets = {scale: build({"family": "vdsr", "channels": 4, "depth": 3, "scale": scale}) for scale in (2, 3, 4)}
    lr = torch.rand(1, 1, 6, 5)
    for scale, net in nets.items():
        net.load_state_dict(nets[2].state_dict())  # strict: the same names and shapes
        enlarged = bicubic(lr, scale)
        x = enlarged
        for layer in net.layers[:-1]:
            x = layer(x).relu()
        torch.testing.assert_close(net(lr), enlarged + net.layers[-1](x))


def test_vdsr_weights_have_the_names_that_importers_use() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in build({"family": "vdsr"}).state_dict().items()}
    assert list(shapes) == [f"layers.{i}.{kind}" for i in range(20) for kind in ("weight", "bias")]
    assert shapes["layers.0.weight"] == (64, 1, 3, 3)
    assert shapes["layers.19.weight"] == (1, 64, 3, 3)


def test_srcnn_repeats_the_border() -> None:
    net = build({"family": "srcnn", "channels": 4, "inner": 4, "scale": 2})
    flat = net(torch.full((1, 1, 5, 6), 0.7))
    torch.testing.assert_close(flat, flat[:, :, :1, :1].expand_as(flat))


@pytest.mark.parametrize("colour", ["y", "rgb"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_new_srcnn_enlarges_bicubically(scale: int, colour: str) -> None:
    torch.manual_seed(0)
    lr = torch.rand(1, 1 if colour == "y" else 3, 8, 9) * 0.6 + 0.2  # so that nothing swings below black
    torch.testing.assert_close(build({"family": "srcnn", "scale": scale, "colour": colour})(lr), bicubic(lr, scale))


@pytest.mark.parametrize("colour", ["y", "rgb"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_new_espcn_carries_brightness_as_a_bilinear_enlargement(scale: int, colour: str) -> None:
    torch.manual_seed(0)
    net = build({"family": "espcn", "scale": scale, "colour": colour})
    net.layers[2].weight.data[:, net.config.colours :] = 0  # what it will learn of details
    lr = torch.rand(1, net.config.colours, 8, 9)
    bilinear = torch.nn.functional.interpolate(lr, scale_factor=scale, mode="bilinear")
    torch.testing.assert_close(net(lr), bilinear, atol=0.01, rtol=0)  # tanh bends a little


@pytest.mark.parametrize("family", ["espcn", "srcnn"])
def test_a_thinned_network_may_have_fewer_features_than_colours(family: str) -> None:
    net = build({"family": family, "colour": "rgb", "channels": 2, "inner": 2, "scale": 2})
    assert net(torch.rand(1, 3, 4, 4)).shape == (1, 3, 8, 8)


def test_lapsrn_gives_a_picture_a_level_and_the_last_one_is_its_output() -> None:
    net = build({"family": "lapsrn", "channels": 4, "depth": 1, "scale": 8})
    lr = torch.rand(2, 1, 3, 5)
    pictures = net.levels(lr)
    assert [tuple(p.shape) for p in pictures] == [(2, 1, 6, 10), (2, 1, 12, 20), (2, 1, 24, 40)]
    assert torch.equal(pictures[-1], net(lr))


def test_lapsrn_builds_each_level_on_the_picture_below() -> None:
    net = build({"family": "lapsrn", "channels": 4, "depth": 1, "scale": 4})
    pictures = net.levels(torch.rand(1, 1, 4, 4))
    net.pyramid[0].residual.bias.data += 1  # a brighter first level is a brighter second one
    brighter = net.levels(torch.rand(1, 1, 4, 4) * 0 + 0.5)
    assert (brighter[1][:, :, 4:-4, 4:-4] - pictures[1][:, :, 4:-4, 4:-4]).mean() > 0.5


def test_new_lapsrn_enlarges_bilinearly() -> None:
    torch.manual_seed(0)
    net = build({"family": "lapsrn", "scale": 2, "depth": 3, "channels": 16, "colour": "rgb"})
    lr = torch.rand(1, 3, 8, 9)
    bilinear = torch.nn.functional.interpolate(lr, scale_factor=2, mode="bilinear")
    difference = (net(lr) - bilinear)[:, :, 1:-1, 1:-1]  # the outermost pixels see black beside the picture
    assert difference.abs().max() < 0.02


def test_edsr_with_the_mean_of_div2k_keeps_that_colour_around_the_picture() -> None:
    settings = {"family": "edsr", "channels": 4, "blocks": 1, "scale": 2, "mean_shift": True}
    net = build(settings)
    for name, p in net.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.zeros_(p)
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
    torch.testing.assert_close(net(mean.expand(1, 3, 4, 5)), mean.expand(1, 3, 8, 10))


def test_srresnet_folds_its_norms_away() -> None:
    net = build({"family": "srresnet", "channels": 4, "blocks": 2}).eval()
    folded = net.fold()
    assert folded.config.norm is False
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    assert not folded.training
    assert folded.fold().state_dict().keys() == folded.state_dict().keys()


def test_lapsrn_puts_features_where_the_authors_crop_leaves_them() -> None:
    level = build({"family": "lapsrn", "channels": 1, "depth": 0, "scale": 2}).pyramid[0]
    torch.nn.init.ones_(level.enlarge.weight)
    features = torch.zeros(1, 1, 4, 4)
    features[0, 0, 1, 1] = 1
    enlarged, _ = level(features, torch.zeros(1, 1, 4, 4))
    assert enlarged[0, 0].nonzero().unique().tolist() == [2, 3, 4]  # rows and columns from twice the pixel's on
