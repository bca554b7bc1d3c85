"""Every registered family as a model file: the same function at any size, in bytes, in floats and in tiles."""

from __future__ import annotations

import logging
import warnings
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline import Upscaler  # noqa: E402
from sharpline.errors import ModelError, UsageError  # noqa: E402
from sharpline.lab.boards import halo, traced  # noqa: E402
from sharpline.lab.boards.onnx_file import check_parity, export_onnx  # noqa: E402
from sharpline.lab.networks import Network, build, families, parse  # noqa: E402
from sharpline.lab.networks.registry import thin  # noqa: E402
from sharpline.lab.networks.rescaling import at_scale  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, save_network  # noqa: E402
from sharpline.lab.training.validate import upscale  # noqa: E402
from sharpline.runtime.card import ModelCard, embed_card, read_card  # noqa: E402

FEWER = {"blocks": 1, "depth": 2}
Changes = tuple[tuple[str, object], ...]  # hashable settings: an export is made once
EVERY = [*((family, ()) for family in families()), ("rrdb", (("scale", 2),)), ("imdn", (("form", "ntire"),))]
every_family = pytest.mark.parametrize(("family", "changes"), EVERY, ids=str)


def small(family: str, **changes: object) -> Network:
    """A thin and shallow network of the family whose weights, biases and slopes all matter."""
    config = thin(parse({"family": family, **changes}))
    fewer = {name: value for name, value in FEWER.items() if name in type(config).model_fields}
    torch.manual_seed(0)
    net = build({**config.model_dump(), **fewer}).eval()
    for p in net.parameters():
        fan_in = p[0].numel() if p.ndim > 1 else 100
        torch.nn.init.normal_(p, 0, (1 / fan_in) ** 0.5)
    return net


def checkpoint(folder: Path, net: Network) -> Path:
    save_network(folder / "net.safetensors", net, {"name": "small", "card": {}})
    return folder / "net.safetensors"


@cache
def exported(family: str, changes: Changes = ()) -> tuple[Network, onnx.ModelProto, ModelCard]:
    """One export for all tests: tracing takes seconds."""
    net = small(family, **dict(changes))
    with TemporaryDirectory() as folder:
        return net, *export_onnx(checkpoint(Path(folder), net))


@every_family
@settings(deadline=None, max_examples=12)
@given(height=st.integers(1, 45), width=st.integers(1, 45), seed=st.integers(0, 99))
@example(height=1, width=1, seed=0)
@example(height=1, width=40, seed=0)
def test_the_file_is_the_network(family: str, changes: Changes, height: int, width: int, seed: int) -> None:
    net, model, _ = exported(family, changes)
    upscaler = Upscaler(model, threads=1, tile=64)
    lr = np.random.default_rng(seed).integers(0, 256, (height, width, net.config.colours), np.uint8)
    assert np.abs(upscaler(lr).astype(int) - upscale(net, lr)).max() <= 1
    floats = lr.astype(np.float32) / np.float32(255)
    with torch.no_grad():
        expected = net(torch.from_numpy(floats).permute(2, 0, 1)[None])[0].permute(1, 2, 0).clamp(0, 1).numpy()
    assert np.abs(upscaler(floats) - expected).max() <= 1e-4


@every_family
def test_the_networks_under_test_answer_to_their_input(family: str, changes: Changes) -> None:
    """Black everywhere would be equal everywhere."""
    net, _, _ = exported(family, changes)
    lr = np.random.default_rng(0).integers(0, 256, (20, 20, net.config.colours), np.uint8)
    assert len(np.unique(upscale(net, lr))) > 30


@every_family
@pytest.mark.parametrize("tile", [5, 24])
def test_tiles_are_exact_or_their_error_is_on_the_card(family: str, changes: Changes, tile: int) -> None:
    net, model, card = exported(family, changes)
    lr = np.random.default_rng(1).random((75, 61, net.config.colours), np.float32)
    whole, tiled = (Upscaler(model, threads=1, tile=side)(lr) for side in (1000, tile))
    field = net.receptive_field
    assert (card.tile_error is None) == (field is not None and field <= halo.LARGEST_EXACT)
    if card.tile_error is None:
        assert card.receptive_field == field
        assert np.abs(tiled - whole).max() <= 1e-5


def test_the_error_on_the_card_is_that_of_the_runtime_on_a_photograph() -> None:
    skimage_data = pytest.importorskip("skimage.data")
    _, model, card = exported("imdn")
    lr = skimage_data.astronaut()[20:148, 130:322].astype(np.float32) / np.float32(255)
    whole, tiled = (Upscaler(model, tile=side)(lr) for side in (1000, 64))
    assert card.tile_error == pytest.approx(np.abs(whole - tiled).max() * 255, abs=0.01)
    assert card.tile_error > 0.001


@pytest.mark.parametrize(("halos", "chosen"), [((1, 4), 4), ((4, 8), 4), ((0, 1), 1)])
def test_the_smallest_halo_that_does_no_harm_is_taken(monkeypatch, halos: tuple[int, int], chosen: int) -> None:
    _, model, card = exported("espcn")
    assert card.receptive_field == 4
    monkeypatch.setattr(halo, "_HALOS", halos)
    found = halo.with_halo(model, card)
    assert found.receptive_field == chosen
    assert found.tile_error is not None
    assert (found.tile_error <= 0.01) == (chosen == 4)


@every_family
def test_the_file_keeps_to_the_convention(family: str, changes: Changes) -> None:
    net, model, card = exported(family, changes)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    ends = [model.graph.input[0], model.graph.output[0]]
    assert [(v.name, v.type.tensor_type.elem_type) for v in ends] == [("lr", 2), ("sr", 2)]
    assert [d.dim_param for d in ends[0].type.tensor_type.shape.dim[1:3]] == ["H", "W"]
    assert read_card(model) == card
    assert (card.scale, card.colour, card.parameters) == (net.config.scale, net.config.colour, net.parameter_count())
    for word in (b"site-packages", b"stack_trace", str(Path.home()).encode()):
        assert word not in model.SerializeToString(), "the file tells where it was made"


def test_the_exporter_keeps_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    level = logging.getLogger("torch.onnx").level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        traced.traced(small("espcn"))
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("torch.onnx").level == level


@pytest.mark.parametrize("family", ["espcn", "imdn"])
def test_parity_check_sees_a_broken_export(family: str) -> None:
    net, model, _ = exported(family)
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    kernel = next(tensor for tensor in broken.graph.initializer if len(tensor.dims) == 4)
    kernel.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(kernel)[::-1].copy(), kernel.name))
    with pytest.raises(ModelError, match="differs"):
        check_parity(broken, net)


class _Choosy(torch.nn.Module):
    """Looks at the size of the picture when it is traced, and never again."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.inner, self.config = net, net.config

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.inner(lr) * (1.0 if lr.shape[2] > 30 else 0.5)


def test_parity_check_sees_a_size_that_was_traced_in() -> None:
    net = _Choosy(small("espcn"))
    with pytest.raises(ModelError, match="differs"):
        check_parity(embed_card(traced.traced(net), exported("espcn")[2]), net)


def test_a_network_that_cannot_be_traced_is_one_line() -> None:
    class Data(_Choosy):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return self.inner(lr) * int(lr.sum())

    with pytest.raises(ModelError, match=r"^networks of the family espcn cannot be exported: [^\n]+$"):
        traced.traced(Data(small("espcn")))


def test_one_vdsr_serves_every_scale_it_knows(tmp_path: Path) -> None:
    net = small("vdsr", scale=4)
    path = checkpoint(tmp_path, net)
    model, card = export_onnx(path, scale=2)
    assert card.scale == 2
    twice, _ = load_network(path, 2)
    lr = np.random.default_rng(0).integers(0, 256, (9, 8, 1), np.uint8)
    assert np.abs(Upscaler(model)(lr).astype(int) - upscale(twice, lr)).max() <= 1
    with pytest.raises(UsageError, match=r"net\.safetensors: this vdsr enlarges 2, 3 or 4 times, not 8"):
        load_network(path, 8)


@pytest.mark.parametrize("family", sorted(set(families()) - {"vdsr", "srcnn"}))
def test_weights_that_belong_to_a_scale_stay_there(family: str) -> None:
    with pytest.raises(UsageError, match="4 times, not 2"):
        at_scale(small(family, scale=4), 2)
