"""Every registered family: what is left computes what the whole one does with the same channels at zero."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline import Upscaler  # noqa: E402
from sharpline.lab.boards.onnx_file import export_onnx  # noqa: E402
from sharpline.lab.compression.thinning import CutList, ThinningConfig, cut, idle, masked, plan  # noqa: E402
from sharpline.lab.networks import Network, build, families, parse  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, save_network  # noqa: E402
from sharpline.lab.training.validate import upscale  # noqa: E402

SMALL = {"channels": 8, "inner": 4, "growth": 4, "attention": 4, "blocks": 2, "depth": 2}
Changes = tuple[tuple[str, object], ...]
EVERY: list[tuple[str, Changes]] = [
    *((family, ()) for family in families()),
    ("edge", (("expansion", 5), ("tail_kernel", 1))),
    ("edsr", (("mean_shift", True), ("scale", 3))),
    ("imdn", (("form", "ntire"),)),
    ("lapsrn", (("scale", 8), ("colour", "rgb"))),
    ("rrdb", (("scale", 2),)),
    ("srcnn", (("form", "9-1-5"),)),
    ("srresnet", (("norm", False),)),
]
every_family = pytest.mark.parametrize(("family", "changes"), EVERY, ids=str)


def small(family: str, changes: Changes = ()) -> Network:
    """A small network of which every number matters: weights, biases, slopes, norms."""
    fields = type(parse({"family": family})).model_fields
    torch.manual_seed(0)
    net = build({"family": family, **{k: v for k, v in SMALL.items() if k in fields}, **dict(changes)}).eval()
    for tensor in net.parameters():
        torch.nn.init.normal_(tensor, 0, (1 / (tensor[0].numel() if tensor.ndim > 1 else 20)) ** 0.5)
    for name, tensor in net.named_buffers():
        if "running" in name:
            torch.nn.init.uniform_(tensor, 0.5, 1.5)
    return net.plain()


@cache
def thinned(family: str, changes: Changes = ()) -> tuple[Network, CutList, Network]:
    net = small(family, changes)
    cuts = plan(net, ThinningConfig(layers={"*": 0.5}))
    return net, cuts, cut(net, cuts)


def picture(net: Network, height: int = 13, width: int = 10) -> torch.Tensor:
    return torch.rand(2, net.config.colours, height, width, generator=torch.Generator().manual_seed(1))


@every_family
@torch.no_grad()
def test_masked_equals_thinned(family: str, changes: Changes) -> None:
    net, cuts, thin = thinned(family, changes)
    lr = picture(net)
    whole, zeroed = net(lr), masked(net, cuts)(lr)
    torch.testing.assert_close(thin(lr), zeroed, rtol=0, atol=1e-6 * float(zeroed.abs().max()))
    assert (whole - zeroed).abs().max() > 1e-3 * whole.abs().max(), "the cut channels had no part in the picture"
    exact = masked(net, cuts).double()(lr.double()), thin.double()(lr.double())
    thin.float()
    torch.testing.assert_close(*exact, rtol=0, atol=1e-14 * float(exact[0].abs().max() + 1))


@every_family
def test_every_layer_loses_half_but_the_picture_nothing(family: str, changes: Changes) -> None:
    net, cuts, thin = thinned(family, changes)
    for name, layer in net.named_modules():
        if hasattr(layer, "weight") and name not in ("pyramid.0.picture", "pyramid.1.picture", "pyramid.2.picture"):
            if getattr(layer, "num_parameters", 0) == 1:
                continue  # one slope for all channels
            (inputs, outputs), (inputs_left, outputs_left) = cuts.layers[name].before, cuts.layers[name].after
            if "squeeze" in name and family == "imdn":
                assert (outputs, outputs_left) == (1, 1)  # a sixteenth of eight: nothing to cut
                continue
            ends = {net.config.colours, net.config.colours * net.config.scale**2, net.config.colours * 4, 1}
            assert inputs_left * 2 == inputs or inputs == inputs_left in ends, name
            assert outputs_left * 2 == outputs or outputs == outputs_left in ends, name
    lr = picture(net)
    assert thin(lr).shape == net(lr).shape
    assert thin.parameter_count() < 0.6 * net.parameter_count()
    assert thin.macs_per_lr_pixel < 0.75 * net.macs_per_lr_pixel
    assert thin.receptive_field == net.receptive_field


@every_family
@torch.no_grad()
def test_a_checkpoint_of_it_is_one_as_any_other(family: str, changes: Changes, tmp_path: Path) -> None:
    net, _, thin = thinned(family, changes)
    save_network(tmp_path / "t.safetensors", thin, {"name": "t", "card": {}}, packed=True)
    loaded, _ = load_network(tmp_path / "t.safetensors")
    lr = picture(net)
    assert torch.equal(loaded(lr), thin(lr))
    assert loaded.config == thin.config == parse(loaded.config.model_dump())
    torch.testing.assert_close(loaded.fold()(lr), thin(lr), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "changes"),
    [pytest.param(*case, marks=() if case[0] in ("edge", "espcn") else pytest.mark.slow) for case in EVERY],
    ids=str,
)
def test_its_export_equals_it(family: str, changes: Changes, tmp_path: Path) -> None:
    _, _, thin = thinned(family, changes)
    save_network(tmp_path / "t.safetensors", thin, {"name": "t", "card": {}})
    model, card = export_onnx(tmp_path / "t.safetensors")
    lr = np.random.default_rng(0).integers(0, 256, (19, 14, thin.config.colours), np.uint8)
    assert np.abs(Upscaler(model, threads=1)(lr).astype(int) - upscale(thin, lr)).max() <= 1
    assert card.parameters == thin.parameter_count()


@every_family
@pytest.mark.parametrize("criterion", ["geometric-median", "taylor"])
@torch.no_grad()
def test_masked_equals_thinned_for_uneven_cuts(family: str, changes: Changes, criterion: str) -> None:
    net = small(family, changes)
    lr, scale = picture(net, 8, 9), net.config.scale
    config = ThinningConfig(layers={"*0*": 0.2, "*": 0.7}, criterion=criterion)
    with torch.enable_grad():
        cuts = plan(net, config, [(lr, torch.rand(2, net.config.colours, 8 * scale, 9 * scale))])
    zeroed = masked(net, cuts)
    torch.testing.assert_close(cut(net, cuts)(lr), zeroed(lr), rtol=0, atol=1e-6 * float(zeroed(lr).abs().max()))


@every_family
def test_what_is_zero_is_found_again(family: str, changes: Changes) -> None:
    net, cuts, thin = thinned(family, changes)
    assert idle(net) == CutList({})
    again = cut(masked(net, cuts), idle(masked(net, cuts)))
    assert again.config == thin.config
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), thin.state_dict().values(), strict=True))


@every_family
@torch.no_grad()
def test_a_thinned_network_can_be_thinned_again(family: str, changes: Changes) -> None:
    _, _, thin = thinned(family, changes)
    cuts = plan(thin, ThinningConfig(layers={"*": 0.5}))
    lr, twice, zeroed = picture(thin), cut(thin, cuts), masked(thin, cuts)
    assert twice.parameter_count() < thin.parameter_count()
    torch.testing.assert_close(twice(lr), zeroed(lr), rtol=0, atol=1e-6 * float(zeroed(lr).abs().max()))
