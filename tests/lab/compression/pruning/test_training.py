"""Pruning through the trainer: zeros that nothing brings back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError  # noqa: E402
from sharpline.lab.compression.layers import kernels  # noqa: E402
from sharpline.lab.compression.pruning import Pruner, PruningConfig, report  # noqa: E402
from sharpline.lab.networks import build  # noqa: E402
from sharpline.lab.training import loop  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, read_tensors, save_network  # noqa: E402
from sharpline.lab.training.recipe_file import load_recipe  # noqa: E402

PLAIN = ["network.plain=true", "network.expansion=0"]
AGP = [*PLAIN, "pruning={layers: {head: 0.25, 'body.*': 0.8}, schedule: {kind: agp, begin: 2, end: 8, every: 3}}"]
WANTED = {"head": round(0.25 * 216) / 216, "body.0": round(0.8 * 576) / 576, "tail": 0}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def sparsity(net: torch.nn.Module) -> dict[str, float]:
    return {row.layer: row.sparsity for row in report(net).layers}


@pytest.mark.parametrize("optimiser", ["adam", "sgd", "muon"])
def test_masks_survive_every_step_in_network_mean_and_checkpoint(
    data: Path, recipe_file: Path, optimiser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, float]] = []
    one_step = loop.one_step

    def watched(run) -> float:
        loss = one_step(run)
        seen.append((sparsity(run.net)["body.0"], sparsity(run.mean)["body.0"]))
        return loss

    monkeypatch.setattr(loop, "one_step", watched)
    change = [*AGP, f"optimiser.kind={optimiser}", "optimiser.weight_decay=0.001"]
    run = loop.train(load_recipe(recipe_file, change), data, data / "runs" / "a")
    levels = [round(a * 576) for a, _ in seen]
    agp = [0.8 - 0.8 * (1 - (t - 2) / 6) ** 3 for t in (2, 5, 8)]
    expected = [0, *[round(agp[0] * 576)] * 3, *[round(agp[1] * 576)] * 3, *[round(agp[2] * 576)] * 5]
    assert levels == expected
    assert all(mean == net for net, mean in seen[1:])
    assert sparsity(run.net) == WANTED
    assert sparsity(load_network(data / "runs" / "a" / "best.safetensors")[0]) == WANTED


@pytest.mark.parametrize("stop_at", [4, 10])
def test_resumed_equals_uninterrupted(data: Path, recipe_file: Path, stop_at: int) -> None:
    recipe = load_recipe(recipe_file, AGP)
    loop.train(recipe, data, data / "runs" / "whole")

    def interrupt(progress) -> None:
        if progress.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    loop.train(recipe, data, data / "runs" / "parts", report=interrupt)
    loop.train(recipe, data, data / "runs" / "parts", resume=True)
    whole, parts = (read_tensors(data / "runs" / name / "last.safetensors")[0] for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert any(name.startswith("companion.0.") for name in whole)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_no_checkpoint_is_the_best_before_the_schedule_has_ended(
    data: Path, recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([50.0, 40.0, 30.0, 20.0])  # ever worse, at steps 3, 6, 9 and 12
    monkeypatch.setattr(loop, "validate", lambda net, pictures: next(scores))
    change = [*PLAIN, "pruning={layers: {'*': 0.95}, schedule: {begin: 9}}", "validate_every=3"]
    run = loop.train(load_recipe(recipe_file, change), data, data / "runs" / "a")
    best, about = load_network(data / "runs" / "a" / "best.safetensors")
    assert (run.best, about["step"]) == (30.0, 9)
    assert sparsity(best)["body.0"] > 0.94


def test_one_shot_before_the_first_step_starts_from_a_checkpoint_with_branches(data: Path, recipe_file: Path) -> None:
    torch.manual_seed(3)
    trained = build({"family": "edge", "channels": 8, "depth": 1, "scale": 2, "expansion": 8})
    save_network(data / "t.safetensors", trained, {"name": "t"})
    change = [
        *PLAIN,
        "pruning={layers: {'*': 0.5}}",
        f"init={data / 't.safetensors'}",
        "steps=1",
        "optimiser.rate=1e-9",
    ]
    run = loop.train(load_recipe(recipe_file, [*change, "optimiser.kind=adam"]), data, data / "runs" / "a")
    kernel = trained.body[0].collapsed().flatten(1)
    left = run.net.body[0].weight
    assert int((left == 0).sum()) == 288
    torch.testing.assert_close(left[left != 0], kernel[left != 0], atol=1e-5, rtol=0)
    assert kernel.abs()[left == 0].max() <= kernel.abs()[left != 0].min()


def test_a_plain_checkpoint_is_not_taken_for_one_with_branches(data: Path, recipe_file: Path) -> None:
    save_network(data / "t.safetensors", build({"family": "edge", "channels": 8, "depth": 1, "plain": True}), {})
    with pytest.raises(UsageError, match=r"network\.plain=true"):
        loop.train(load_recipe(recipe_file, [f"init={data / 't.safetensors'}"]), data, data / "runs" / "a")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ([*PLAIN, "pruning={layers: {'*': 1.0}}"], r"pruning: .*sparsity of 1\.0 is not in 0 <= sparsity < 1"),
        ([*PLAIN, "pruning={layers: {'*': -0.1}}"], "pruning: .*-0.1"),
        ([*PLAIN, "pruning={layers: {'*': .nan}, criterion: threshold}"], "pruning: .*nan"),
        ([*PLAIN, "pruning={layers: {}}"], "pruning.layers"),
        ([*PLAIN, "pruning={layers: {'*': 0.5}, kriterion: level}"], "pruning.kriterion"),
        ([*PLAIN, "pruning={layers: {bodi: 0.5}}"], "'bodi' is no layer .* 'body.0'"),
        ([*PLAIN, "pruning={layers: {'*': 0.5}, schedule: {begin: 13}}"], "ends at step 13, training at 12"),
        (["pruning={layers: {'*': 0.5}}"], "plain: true"),
        ([*PLAIN, "network.expansion=4", "pruning={layers: {'*': 0.5}}"], "plain"),
        ([*PLAIN, "pruning={layers: {'*': 0.5}}", "thinning={layers: {'*': 0.5}}"], "one after the other"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(
    data: Path, recipe_file: Path, change: list[str], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as refusal:
        loop.train(load_recipe(recipe_file, change), data, data / "runs" / "a")
    assert "\n" not in str(refusal.value)
    assert not (data / "runs").exists()


def test_zeros_of_an_earlier_step_can_be_kept(data: Path) -> None:
    net = build({"family": "espcn", "channels": 4, "inner": 4})
    for kernel in kernels(net).values():
        torch.nn.init.ones_(kernel)
    torch.nn.init.zeros_(net.layers[0].weight[:2])
    pruner = Pruner(net, PruningConfig(criterion="threshold", layers={"*": 0}), steps=10)
    pruner.after_step(0)
    torch.nn.init.ones_(net.layers[0].weight)
    pruner.after_step(1)
    assert sparsity(net) == {"layers.0": 0.5, "layers.1": 0, "layers.2": 0}


@pytest.mark.slow
def test_two_processes_prune_as_one(data: Path, recipe_file: Path) -> None:
    found = []
    for devices in ("cpu", "2"):
        folder = data / "runs" / devices
        command = [sys.executable, "-m", "sharpline", "train", str(recipe_file), "--data", str(data), "-o", str(folder)]
        changes = [part for change in [*AGP, "precision=fp32"] for part in ("--set", change)]
        done = subprocess.run(
            [*command, "--threads", "1", "--devices", devices, *changes], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found.append(load_network(folder / "best.safetensors")[0])
    assert sparsity(found[0]) == sparsity(found[1]) == WANTED
    same = (found[0].body[0].weight == 0) == (found[1].body[0].weight == 0)
    assert same.float().mean() > 0.97  # sums of gradients in another order may turn a choice among near equals
