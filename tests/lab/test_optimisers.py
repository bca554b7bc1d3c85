"""Schedules and clipping do what the papers say."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from pydantic import ValidationError  # noqa: E402

from sharpline.lab.networks import build, families, parse  # noqa: E402
from sharpline.lab.networks.registry import thin  # noqa: E402
from sharpline.lab.training.optimisers import clip_gradients, make_optimisers, rate_factor, set_rate  # noqa: E402
from sharpline.lab.training.recipe import Clip, Optimiser, Schedule  # noqa: E402


def test_multistep_falls_at_its_milestones() -> None:
    schedule = Schedule(kind="multistep", milestones=[3, 5], factor=0.1, warmup=0)
    assert [round(rate_factor(i, 9, schedule), 4) for i in range(7)] == [1, 1, 1, 0.1, 0.1, 0.01, 0.01]


def test_warm_up_rises_to_the_peak() -> None:
    factors = [rate_factor(i, 100, Schedule(kind="step", every=1000, warmup=4)) for i in range(6)]
    assert factors == sorted(factors)
    assert factors[0] == pytest.approx(0.2)
    assert factors[4:] == [1, 1]


@pytest.mark.parametrize(
    "settings", [{"kind": "step"}, {"kind": "multistep"}, {"every": 5}, {"kind": "multistep", "milestones": [5, 3]}]
)
def test_incomplete_schedules_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Schedule(**settings)


@pytest.mark.parametrize("family", families())
@pytest.mark.parametrize("kind", ["adam", "sgd", "muon"])
def test_each_parameter_has_one_optimiser(family: str, kind: str) -> None:
    net = build(thin(parse({"family": family})))
    optimisers = make_optimisers(net, Optimiser(kind=kind))
    held = [id(p) for o in optimisers for group in o.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in net.parameters())


def test_muon_takes_kernels_of_any_shape_but_the_last() -> None:
    net = build({"family": "fsrcnn", "channels": 6, "inner": 3, "depth": 1})
    _, muon = make_optimisers(net, Optimiser(kind="muon"))
    names = {id(p): name for name, p in net.named_parameters()}
    taken = [names[id(p)] for group in muon.param_groups for p in group["params"]]
    assert taken == [f"convs.{i}.weight" for i in range(4)]
    before = [p.detach().clone() for p in net.convs.parameters()]
    net(torch.rand(1, 1, 6, 6)).square().mean().backward()
    muon.step()
    moved = net.convs[0].weight - before[0]
    assert torch.linalg.matrix_norm(moved.flatten(1), 2).item() == pytest.approx(0.02, rel=0.3)  # one: no out > in


def test_clipping() -> None:
    weight = torch.nn.Parameter(torch.zeros(4))
    optimiser = torch.optim.SGD([weight], lr=0.1)
    optimiser.param_groups[0]["peak"] = 0.1
    set_rate([optimiser], 0.5)
    weight.grad = torch.tensor([5.0, -5.0, 0.01, 0.0])
    clip_gradients([optimiser], Clip(kind="adjustable", limit=0.1))
    torch.testing.assert_close(weight.grad, torch.tensor([2.0, -2.0, 0.01, 0.0]))  # 0.1 / 0.05
    clip_gradients([optimiser], Clip(kind="norm", limit=1.0))
    assert weight.grad.norm().item() == pytest.approx(1.0, abs=1e-4)
