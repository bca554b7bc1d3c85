"""Sparse tensors in checkpoints: smaller, and the same to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import ModelError  # noqa: E402
from sharpline.lab.compression.layers import kernels  # noqa: E402
from sharpline.lab.compression.pruning import Pruner, PruningConfig, pack, report, unpack  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, read_tensors, save_network, write_tensors  # noqa: E402


@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    sparsity=st.floats(0, 1),
    kind=st.sampled_from([torch.float32, torch.float16, torch.int8]),
    seed=st.integers(0, 99),
)
def test_unpacked_equals_packed_and_is_never_larger(
    shape: list[int], sparsity: float, kind: torch.dtype, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator).mul(50).to(kind)
    tensor = torch.where(torch.rand(shape, generator=generator) < sparsity, torch.zeros((), dtype=kind), values)
    small, shapes = pack({"w": tensor})
    assert sum(t.nbytes for t in small.values()) <= tensor.nbytes
    back = unpack(small, shapes)["w"]
    assert back.dtype == kind
    assert torch.equal(back, tensor)


def test_a_packed_checkpoint_is_smaller_and_loads_as_any_other(tmp_path: Path) -> None:
    net = build({"family": "edge", "channels": 24, "depth": 3, "plain": True}).eval()
    Pruner(net, PruningConfig(layers={"*": 0.9}), steps=0).after_step(0)
    save_network(tmp_path / "dense.safetensors", net, {"name": "n"})
    save_network(tmp_path / "packed.safetensors", net, {"name": "n"}, packed=True)
    sizes = [(tmp_path / f"{form}.safetensors").stat().st_size for form in ("dense", "packed")]
    assert sizes[1] < 0.25 * sizes[0]
    loaded, about = load_network(tmp_path / "packed.safetensors")
    assert about == {"name": "n", "network": net.config.model_dump()}
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), loaded.state_dict().values(), strict=True))
    total = report(loaded).total
    biases = sum(p.nbytes for name, p in net.named_parameters() if name.endswith("bias"))
    assert 0 <= sizes[1] - total.packed_bytes - biases < 3000  # the rest is names and the description


def test_a_damaged_one_is_one_line(tmp_path: Path) -> None:
    small, shapes = pack({"w": torch.eye(40)})
    small["w:values"] = small["w:values"][1:]
    write_tensors(tmp_path / "x.safetensors", small, {"packed": shapes})
    with pytest.raises(ModelError, match=r"x\.safetensors: the packed tensor w has 39 values for 40 places"):
        read_tensors(tmp_path / "x.safetensors")


def test_the_report_counts_each_layer() -> None:
    net = build({"family": "espcn", "channels": 8, "inner": 4})
    with torch.no_grad():
        for kernel in kernels(net).values():
            kernel.fill_(1)
        net.layers[1].weight[:2] = 0
    rows = {row.layer: row for row in report(net).layers}
    assert {name: row.sparsity for name, row in rows.items()} == {"layers.0": 0, "layers.1": 0.5, "layers.2": 0}
    assert rows["layers.1"].packed_bytes == 4 * 8 * 9 // 8 + 4 * 2 * 8 * 9
    assert "50.0%" in str(report(net))
    assert "not the network faster" in str(report(net))
