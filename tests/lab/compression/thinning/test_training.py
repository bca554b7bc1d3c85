"""Thinning through the trainer: channels at zero, then gone, and everything follows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.compression.thinning import Thinner, ThinningConfig, cut, cut_moments, masked, plan  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training import loop, thinning  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, read_tensors, save_network  # noqa: E402
from sharpline.lab.training.recipe_file import load_recipe  # noqa: E402

EDGE = ["network.plain=true", "network.expansion=0"]
AGP = "thinning={{layers: {{'*': 0.5}}, criterion: {}, schedule: {{kind: agp, begin: 2, end: 8, every: 3}}}}"
EDSR = ["network={family: edsr, channels: 8, blocks: 1, scale: 2}", "optimiser.kind=adam"]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("network", [EDGE, EDSR], ids=["edge", "edsr"])
@pytest.mark.parametrize("criterion", ["l1", "taylor"])
def test_channels_become_zero_and_are_removed(
    data: Path, recipe_file: Path, network: list[str], criterion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros, one_step = [], loop.one_step

    def watched(run) -> float:
        loss = one_step(run)
        for net in (run.net, run.mean):
            rows = (net.head.weight.flatten(1).abs().sum(1) == 0) & (net.head.bias == 0)
            zeros.append((int(rows.sum()), len(rows)))
        return loss

    monkeypatch.setattr(loop, "one_step", watched)
    run = loop.train(load_recipe(recipe_file, [*network, AGP.format(criterion)]), data, data / "runs" / "a")
    halfway = 8 - 5  # what stays of eight channels at a share of 0.4375, AGP half way
    assert zeros[::2] == zeros[1::2]
    assert zeros[::2] == [(0, 8)] * 4 + [(halfway, 8)] * 3 + [(0, 4)] * 5
    best, _ = load_network(data / "runs" / "a" / "best.safetensors")
    assert best.config == run.net.config == run.mean.config
    assert best.config.widths["head"] == [3, 4]
    assert "8 -> 4" in (data / "runs" / "a" / "cuts.txt").read_text()
    assert {id(p) for o in run.optimisers for g in o.param_groups for p in g["params"]} == {
        id(p) for p in run.net.parameters()
    }


@pytest.mark.parametrize(
    ("network", "optimiser"), [(EDGE, "muon"), (EDGE, "adam"), (EDGE, "sgd"), (EDSR, "adam")], ids=str
)
def test_the_step_after_the_cut_is_that_of_the_masked_network(
    data: Path, recipe_file: Path, network: list[str], optimiser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moments, mean and weights follow: training goes on as if the channels were only masked."""
    change = [*network, AGP.format("l1"), f"optimiser.kind={optimiser}", "steps=10", "precision=fp32"]
    thinned = loop.train(load_recipe(recipe_file, change), data, data / "runs" / "cut")
    monkeypatch.setattr(loop, "remove_channels", lambda run: None)
    soft = loop.train(load_recipe(recipe_file, change), data, data / "runs" / "soft")
    for small, whole in ((thinned.net, soft.net), (thinned.mean, soft.mean)):
        expected = cut(whole, soft.companions[0].cuts).state_dict()
        for name, value in small.state_dict().items():
            torch.testing.assert_close(value, expected[name], rtol=0, atol=2e-5 if optimiser != "muon" else 2e-3)


@pytest.mark.parametrize("stop_at", [4, 6, 8, 10])
@pytest.mark.parametrize("criterion", ["l1", "taylor"])
def test_resumed_equals_uninterrupted(data: Path, recipe_file: Path, stop_at: int, criterion: str) -> None:
    recipe = load_recipe(recipe_file, [*EDGE, AGP.format(criterion)])
    loop.train(recipe, data, data / "runs" / "whole")

    def interrupt(progress) -> None:
        if progress.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    loop.train(recipe, data, data / "runs" / "parts", report=interrupt)
    loop.train(recipe, data, data / "runs" / "parts", resume=True)
    whole, parts = (read_tensors(data / "runs" / name / "last.safetensors")[0] for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert whole["net.head.weight"].shape[0] == 4
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_moments_are_cut_as_their_parameters() -> None:
    torch.manual_seed(0)
    net = build({"family": "fsrcnn", "channels": 8, "inner": 4, "depth": 1})
    cuts = plan(net, ThinningConfig(layers={"*": 0.5}))
    marked = {name: {"m": p.detach().clone(), "step": torch.tensor(3.0)} for name, p in net.named_parameters()}
    followed, thinned = cut_moments(net, cuts, marked), cut(net, cuts)
    for name, parameter in thinned.named_parameters():
        assert torch.equal(followed[name]["m"], parameter)
        assert followed[name]["step"] == 3


def test_a_thinned_checkpoint_is_trained_on_as_it_is(data: Path, recipe_file: Path) -> None:
    net = build({"family": "edge", "channels": 8, "depth": 1, "scale": 2, "plain": True})
    thinned = cut(net, plan(net, ThinningConfig(layers={"*": 0.5})))
    save_network(data / "t.safetensors", thinned, {"name": "t"})
    content = yaml.safe_load(recipe_file.read_text())
    content |= {"network": thinned.config.model_dump(), "init": str(data / "t.safetensors"), "steps": 2}
    content["optimiser"] = {"kind": "adam", "rate": 1e-9}
    recipe_file.write_text(yaml.safe_dump(content))
    run = loop.train(load_recipe(recipe_file), data, data / "runs" / "a")
    assert run.net.config == thinned.config
    for mine, theirs in zip(run.net.state_dict().values(), thinned.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs)
    recipe = load_recipe(recipe_file, ["steps=3"])
    assert loop.train(recipe, data, data / "runs" / "a", resume=True).step == 3


def test_one_shot_thins_before_the_first_step(data: Path, recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file, [*EDGE, "thinning={layers: {'*': 0.5}}", "steps=4", "validate_every=1"])
    run = loop.train(recipe, data, data / "runs" / "a")
    assert run.net.config.widths["body.0"] == [4, 4]
    recipe = load_recipe(recipe_file, [*EDGE, "thinning={layers: {'*': 0.5}}", "steps=5", "validate_every=1"])
    assert loop.train(recipe, data, data / "runs" / "a", resume=True).net.config == run.net.config


def test_rounding_is_not_passed_on_the_way() -> None:
    net = build({"family": "espcn", "channels": 12, "inner": 4})
    config = ThinningConfig(layers={"layers.0": 0.5}, multiple=8, schedule={"kind": "agp", "end": 10, "every": 1})
    thinner, left = Thinner(net, config, steps=10), []
    for step in range(11):
        thinner.after_step(step)
        left.append(int((net.layers[0].weight.abs().sum((1, 2, 3)) > 0).sum()))
    assert left == sorted(left, reverse=True)
    assert left[0] == 12
    assert left[-1] == 8
    assert thinner.cuts.widths["layers.0"] == [1, 8]


def test_masked_channels_neither_come_back_nor_count_in_the_gradient() -> None:
    torch.manual_seed(0)
    net = build({"family": "espcn", "channels": 8, "inner": 4, "scale": 2})
    thinner = Thinner(net, ThinningConfig(layers={"layers.0": 0.5}), steps=9)
    thinner.after_step(0)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for step in range(1, 4):
        net(torch.rand(1, 1, 6, 6)).sum().backward()
        thinner.before_step()
        gone = net.layers[0].weight == 0
        assert gone.sum() == 4 * 25
        assert not net.layers[0].weight.grad[gone].any()
        optimiser.step()
        thinner.after_step(step)
        assert torch.equal(net.layers[0].weight == 0, gone)
        assert torch.equal(masked(net, thinner.cuts).layers[1].weight, net.layers[1].weight)


@pytest.mark.parametrize(
    ("thinning", "words"),
    [
        ("{layers: {'*': 1.0}}", r"thinning: .*share of 1\.0 is not in 0 <= share < 1"),
        ("{layers: {boddy: 0.5}}", "'boddy' is no layer"),
        ("{layers: {'*': 0.5}, multiple: 16}", "multiple: 16 is larger than the 8 channels of head"),
        ("{layers: {tail: 0.5}}", "'tail' has only channels of the picture"),
        ("{layers: {'*': 0.5}, schedule: {kind: agp, end: 99}}", "ends at step 99, training at 12"),
        ("{layers: {'*': 0.5}, criterion: taylor}", "taylor needs the gradients of some steps"),
        ("{layers: {'*': 0.5}, criterion: l2}", "thinning.criterion"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(
    data: Path, recipe_file: Path, thinning: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as refusal:
        loop.train(load_recipe(recipe_file, [*EDGE, f"thinning={thinning}"]), data, data / "runs" / "a")
    assert "\n" not in str(refusal.value)
    assert not (data / "runs").exists()


@pytest.mark.slow
def test_two_processes_thin_as_one(data: Path, recipe_file: Path) -> None:
    found = []
    for devices in ("cpu", "2"):
        folder = data / "runs" / devices
        command = [sys.executable, "-m", "sharpline", "train", str(recipe_file), "--data", str(data), "-o", str(folder)]
        changes = [part for change in [*EDGE, AGP.format("l1"), "precision=fp32"] for part in ("--set", change)]
        done = subprocess.run(
            [*command, "--threads", "1", "--devices", devices, *changes], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found.append(load_network(folder / "best.safetensors")[0])
    assert found[0].config == found[1].config
    torch.testing.assert_close(found[0].head.weight, found[1].head.weight, atol=1e-3, rtol=0)


def test_the_module_under_test_is_the_one_in_the_loop() -> None:
    assert loop.remove_channels is thinning.remove_channels
