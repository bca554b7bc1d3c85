"""Every published layout becomes a network that computes what the authors' does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from safetensors.torch import save_file  # noqa: E402
from scipy.io import savemat  # noqa: E402

from published_networks import EVERY, Published, random_state  # noqa: E402
from sharpline.lab.importing import import_file, import_network  # noqa: E402
from sharpline.lab.networks import Network  # noqa: E402
from sharpline.lab.training.checkpoint import load_network  # noqa: E402
from sharpline.pixels.imresize import imresize  # noqa: E402
from sharpline.runtime.card import ModelCard  # noqa: E402

SMALL = next(p for p in EVERY if p.name.startswith("compact"))


def picture(net: Network, height: int = 20, width: int = 28) -> torch.Tensor:
    return torch.rand(1, net.config.colours, height, width, generator=torch.Generator().manual_seed(9))


def assert_same_function(net: Network, published: Published) -> None:
    lr = picture(net)
    with torch.no_grad():
        expected = published.run(published.state, lr)
        assert expected.std() > 1e-3
        torch.testing.assert_close(net(lr), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("published", EVERY, ids=lambda p: p.name)
@pytest.mark.parametrize("named", [True, False], ids=["arch", "auto"])
def test_layout_gives_the_same_function(tmp_path: Path, published: Published, named: bool) -> None:
    torch.save(published.state, tmp_path / "net.pth")
    net = import_network(tmp_path / "net.pth", arch=published.config["family"] if named else "auto").net
    assert {key: getattr(net.config, key) for key in published.config} == published.config
    assert sum(p.numel() for p in net.parameters()) == sum(t.numel() for t in published.state.values())
    assert_same_function(net, published)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda good, bad: {"params": good},
        lambda good, bad: {"params": bad, "params_ema": good, "iter": 5},
        lambda good, bad: {"state_dict": {f"module.{key}": value for key, value in good.items()}},
        lambda good, bad: {"model": {"params_ema": good}},
    ],
    ids=["params", "params_ema", "module", "nested"],
)
def test_wrapped_state_is_found(tmp_path: Path, wrap) -> None:
    bad = {key: torch.zeros_like(value) for key, value in SMALL.state.items()}
    torch.save(wrap(SMALL.state, bad), tmp_path / "net.pth")
    assert_same_function(import_network(tmp_path / "net.pth").net, SMALL)


def test_older_pth_format_and_safetensors(tmp_path: Path) -> None:
    torch.save(SMALL.state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(SMALL.state, tmp_path / "net.bin")  # the content tells, not the suffix
    for name in ("old.pth", "net.bin"):
        assert_same_function(import_network(tmp_path / name).net, SMALL)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    torch.save({key: value.half() for key, value in SMALL.state.items()}, tmp_path / "half.pth")
    net = import_network(tmp_path / "half.pth").net
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    torch.testing.assert_close(net.tail.weight, SMALL.state["body.8.weight"], rtol=1e-3, atol=1e-4)


def vdsr_weights(depth: int = 4, channels: int = 6) -> dict[str, torch.Tensor]:
    widths = [1, *[channels] * (depth - 1), 1]
    return random_state({f"{i}": (widths[i + 1], widths[i], 3) for i in range(depth)})


def cells(values: list[object]) -> np.ndarray:
    array = np.empty((1, len(values)), object)
    array[0] = values
    return array


def save_vdsr(path: Path, form: str) -> dict[str, torch.Tensor]:
    """A .mat file as the authors have it, or as MatConvNet's own SimpleNN, with ReLUs between."""
    state = vdsr_weights()
    kernels = [state[f"{i}.weight"].numpy().transpose(2, 3, 1, 0) for i in range(4)]
    kernels = [k.squeeze(3) if k.shape[3] == 1 else k for k in kernels]  # MATLAB drops ones at the end
    biases = [state[f"{i}.bias"].numpy()[:, None] for i in range(4)]
    if form == "authors":
        savemat(path, {"model": {"weight": cells(kernels), "bias": cells(biases)}})
    else:
        layers: list[object] = []
        for kernel, bias in zip(kernels, biases, strict=True):
            layers += [{"type": "conv", "weights": cells([kernel, bias])}, {"type": "relu"}]
        savemat(path, {"net": {"layers": cells(layers[:-1])}}, do_compression=True)
    return state


@pytest.mark.parametrize("form", ["authors", "simplenn"])
def test_vdsr_from_matlab(tmp_path: Path, form: str) -> None:
    state = save_vdsr(tmp_path / "net.mat", form)
    net = import_network(tmp_path / "net.mat", arch="vdsr", scale=3).net
    assert (net.config.family, net.config.scale, net.config.colour) == ("vdsr", 3, "y")
    lr = picture(net)
    up = imresize(lr[0].permute(1, 2, 0).numpy(), size=(60, 84))
    expected = anchor = torch.from_numpy(up).permute(2, 0, 1)[None]
    for i in range(4):
        expected = torch.nn.functional.conv2d(expected, state[f"{i}.weight"], state[f"{i}.bias"], padding=1)
        expected = expected.relu() if i < 3 else expected
    with torch.no_grad():
        torch.testing.assert_close(net(lr), anchor + expected, rtol=1e-4, atol=1e-4)


def test_checkpoint_carries_what_the_card_needs(tmp_path: Path) -> None:
    torch.save(SMALL.state, tmp_path / "my net.pth")
    out = tmp_path / "net.safetensors"
    imported = import_file(tmp_path / "my net.pth", out, licence="BSD-3-Clause", training_data="DIV2K")
    net, about = load_network(out)
    assert net.config == imported.net.config
    assert about["name"] == "my-net"
    assert (about["card"]["licence"], about["card"]["training_data"]) == ("BSD-3-Clause", "DIV2K")
    assert "my net.pth" in about["card"]["description"]
    ModelCard(name=about["name"], scale=net.config.scale, colour=net.config.colour, receptive_field=1, **about["card"])
    assert_same_function(net, SMALL)
