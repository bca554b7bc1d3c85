"""The plain form of edge: what is stored is what is computed with."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.compression.layers import kernels  # noqa: E402
from sharpline.lab.networks import build, families  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, save_network  # noqa: E402

EDGE = {"family": "edge", "channels": 8, "depth": 2, "scale": 2}


@pytest.mark.parametrize("form", [{}, {"expansion": 6}, {"residual": "luma"}, {"tail_kernel": 1}], ids=str)
@torch.no_grad()
def test_it_is_the_same_function_and_loads_again(form: dict[str, object], tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build({**EDGE, **form})
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, 0, 0.1)
    plain, lr = net.plain(), torch.rand(1, 3, 9, 7)
    torch.testing.assert_close(plain(lr), net(lr))
    torch.testing.assert_close(plain.fold()(lr), net(lr))
    assert plain.plain() is plain
    assert all(torch.equal(layer.collapsed().flatten(1), layer.weight) for layer in plain.convolutions())
    save_network(tmp_path / "p.safetensors", plain, {})
    assert torch.equal(load_network(tmp_path / "p.safetensors")[0](lr), plain(lr))


@torch.no_grad()
def test_a_new_one_starts_as_one_with_identities_does() -> None:
    lr, starts = torch.rand(1, 3, 9, 7), []
    for plain in (False, True):
        torch.manual_seed(5)
        starts.append(build({**EDGE, "plain": plain}))
    torch.testing.assert_close(starts[0](lr), starts[1](lr))


def test_a_sum_of_branches_is_refused_by_its_layers_name() -> None:
    with pytest.raises(UsageError, match=r"^body\.0 is a sum of branches"):
        kernels(build(EDGE))
    with pytest.raises(UsageError, match="plain"):
        build({**EDGE, "plain": True, "expansion": 4})


def test_every_other_family_is_plain_already() -> None:
    for family in set(families()) - {"edge"}:
        with torch.device("meta"):
            net = build({"family": family})
        assert net.plain() is net
        assert kernels(net)
