"""The loop learns, resumes exactly, and says what is wrong."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import ModelError, SharplineError, UsageError  # noqa: E402
from sharpline.lab.training import loop  # noqa: E402
from sharpline.lab.training.checkpoint import load_network, read_tensors  # noqa: E402
from sharpline.lab.training.logbook import read_entries  # noqa: E402
from sharpline.lab.training.loop import train  # noqa: E402
from sharpline.lab.training.muon import orthogonalised  # noqa: E402
from sharpline.lab.training.recipe_file import load_recipe  # noqa: E402


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_tensors(folder / "last.safetensors")[0]


def test_it_learns(data: Path, recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file, ["steps=300", "validate_every=150", "network.channels=16"])
    train(recipe, data, data / "runs" / "a")
    rows = list(csv.DictReader((data / "runs" / "a" / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows] == [150, 300]
    start = load_recipe(recipe_file, ["steps=1", "optimiser.rate=1e-9", "network.channels=16"])
    untrained = train(start, data, data / "runs" / "b")
    assert float(rows[-1]["psnr_y"]) > untrained.best + 0.5


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_resumed_equals_uninterrupted(data: Path, recipe_file: Path, optimiser: str) -> None:
    change = [f"optimiser.kind={optimiser}"]
    recipe = load_recipe(recipe_file, change)
    train(recipe, data, data / "runs" / "whole")
    stop_at = 7

    def interrupt(progress) -> None:
        if progress.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    train(recipe, data, data / "runs" / "parts", report=interrupt)
    assert read_tensors(data / "runs" / "parts" / "last.safetensors")[1]["step"] == stop_at
    train(recipe, data, data / "runs" / "parts", resume=True)
    whole, parts = weights(data / "runs" / "whole"), weights(data / "runs" / "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    scores = [
        [(row["step"], row["psnr_y"]) for row in csv.DictReader((data / "runs" / run / "metrics.csv").open())]
        for run in ("whole", "parts")
    ]
    assert scores[0] == scores[1]


def command(recipe: Path, data: Path, folder: Path, *more: str) -> list[str]:
    start = [sys.executable, "-m", "sharpline", "train", str(recipe), "--data", str(data), "-o", str(folder)]
    return [*start, "--threads", "1", *more]


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
def test_killed_process_resumes_to_the_bit(data: Path, recipe_file: Path, blow: signal.Signals) -> None:
    folder = data / "runs" / "killed"
    last = folder / "last.safetensors"
    steady = ["schedule.kind=multistep", "schedule.milestones=[1000000]", "save_minutes=0.003", "validate_every=7"]
    settings = [word for setting in steady for word in ("--set", setting)]
    process = subprocess.Popen(
        command(recipe_file, data, folder, "--set", "steps=100000", *settings),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    while not last.exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(blow)
    assert process.wait(60) == (130 if blow == signal.SIGTERM else -signal.SIGKILL)
    step = read_tensors(last)[1]["step"]
    assert 0 < step < 100000
    done = subprocess.run(
        command(recipe_file, data, folder, "--resume", "--set", f"steps={step + 5}", *settings),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    whole = train(load_recipe(recipe_file, [*steady, f"steps={step + 5}"]), data, data / "runs" / "whole", device="cpu")
    assert read_tensors(last)[1]["step"] == whole.step == step + 5
    ours, theirs = weights(folder), weights(data / "runs" / "whole")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    entries = [[(e.step, e.psnr_y) for e in read_entries(data / "runs" / run)] for run in ("killed", "whole")]
    assert entries[0] == entries[1]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]])
def test_two_processes_learn_as_one(data: Path, recipe_file: Path, launcher: list[str]) -> None:
    changes = ["steps=50", "validate_every=1", "precision=fp32"]
    one, two = data / "runs" / "one", data / "runs" / "two"
    train(load_recipe(recipe_file, changes), data, one, device="cpu")
    words = [word for change in changes for word in ("--set", change)]
    python, *rest = command(recipe_file, data, two, "--devices", "auto" if launcher else "2", *words)
    done = subprocess.run([python, *launcher, *rest], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((two / "provenance.json").read_text())["processes"] == "2"
    curves = [[entry.loss for entry in read_entries(folder)] for folder in (one, two)]
    assert len(curves[0]) == 50
    np.testing.assert_allclose(*curves, atol=1e-4)


def test_best_checkpoint_rebuilds_its_network(data: Path, recipe_file: Path) -> None:
    folder = data / "runs" / "a"
    run = train(load_recipe(recipe_file), data, folder)
    net, about = load_network(folder / "best.safetensors")
    assert net.config == run.net.config
    assert about["psnr_y_valid"] == run.best
    assert about["card"]["training_data"] == "noise"
    assert json.loads((folder / "provenance.json").read_text())["torch"].startswith("2.")
    with pytest.raises(ModelError, match="is no network but the state of a training; give best"):
        load_network(folder / "last.safetensors")


def test_init_takes_what_fits(data: Path, recipe_file: Path) -> None:
    train(load_recipe(recipe_file), data, data / "runs" / "a")
    first = data / "runs" / "a" / "best.safetensors"
    recipe = load_recipe(recipe_file, [f"init={first}", "network.scale=4", "steps=1", "data.patch=4"])
    run = train(recipe, data, data / "runs" / "b")
    trained, _ = read_tensors(first)
    assert run.net.tail.bias.shape != trained["tail.bias"].shape
    assert (run.net.head.weight - trained["head.weight"]).abs().max() < 0.05


def test_existing_run_is_not_overwritten(data: Path, recipe_file: Path) -> None:
    recipe = load_recipe(recipe_file, ["steps=1"])
    train(recipe, data, data / "runs" / "a")
    with pytest.raises(UsageError, match="--resume"):
        train(recipe, data, data / "runs" / "a")
    with pytest.raises(UsageError, match="another seed"):
        train(load_recipe(recipe_file, ["steps=2", "seed=5"]), data, data / "runs" / "a", resume=True)


def test_loss_that_is_not_finite_stops_and_can_be_mended(data: Path, recipe_file: Path) -> None:
    """It names the step and the pictures; what it advises works."""
    folder = data / "runs" / "a"
    train(load_recipe(recipe_file), data, folder)
    good = (folder / "last.safetensors").read_bytes()
    wild = ["steps=24", "schedule.kind=multistep", "schedule.milestones=[10000]"]
    with pytest.raises(SharplineError, match=r"loss is \w+ at step 1\d on patches of .*png; the last good state is in"):
        train(load_recipe(recipe_file, [*wild, "optimiser.rate=1e30"]), data, folder, resume=True)
    assert (folder / "last.safetensors").read_bytes() == good
    mended = [*wild, "optimiser.rate=1e-4", "clip.limit=1"]
    assert train(load_recipe(recipe_file, mended), data, folder, resume=True).step == 24


@pytest.mark.parametrize("change", [["save_minutes=1e-9"], ["validate_every=1"], ["steps=1"]])
def test_weights_that_are_not_finite_are_not_kept(data: Path, recipe_file: Path, change: list[str]) -> None:
    """The step that makes them has a finite loss itself."""
    recipe = load_recipe(recipe_file, ["optimiser.kind=sgd", "optimiser.rate=1e38", "schedule.warmup=0", *change])
    with pytest.raises(SharplineError, match=r"makes nothing finite after step 1; nothing had been saved yet; lower"):
        train(recipe, data, data / "runs" / "a")
    assert not list((data / "runs" / "a").glob("*.safetensors"))


@pytest.mark.parametrize(("fails", "room"), [("preview.png", 4000), ("last.safetensors", 150_000)])
def test_a_full_disk_keeps_the_last_good_state(data: Path, recipe_file: Path, fails: str, room: int) -> None:
    """The limit of a file's size stands for the disk: writing fails half-way."""
    folder = data / "runs" / "a"
    train(load_recipe(recipe_file, ["network.channels=24"]), data, folder)
    before = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    more = load_recipe(recipe_file, ["network.channels=24", "steps=16", "optimiser.rate=0.01"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(SharplineError, match=rf"{fails}: cannot be written \(File too large\); "):
            train(more, data, folder, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert (folder / "last.safetensors").read_bytes() == before["last.safetensors"]
    assert train(more, data, folder, resume=True).step == 16


def test_another_recipe_leaves_the_run_as_it_was(data: Path, recipe_file: Path, monkeypatch) -> None:
    folder = data / "runs" / "a"
    train(load_recipe(recipe_file), data, folder)
    before = (folder / "recipe.yaml").read_text()
    other = load_recipe(recipe_file, ["seed=5", "optimiser.kind=adam", "network.depth=2"])
    monkeypatch.setattr(loop, "open_sources", lambda *_: pytest.fail("pictures were decoded first"))
    with pytest.raises(UsageError, match="another network, optimiser, seed"):
        train(other, data, folder, resume=True)
    assert (folder / "recipe.yaml").read_text() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["step=5"], "'steps'"),
        (["data.bach=5"], r"data\.bach': did you mean 'batch'"),
        (["data.patch=big"], "data.patch"),
        (["network.depht=3"], "'depth'"),
        (["steps"], "key=value"),
        (["name=Bad Name"], "name"),
    ],
)
def test_recipes_are_strict(recipe_file: Path, change: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_recipe(recipe_file, change)


def test_missing_and_broken_recipes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_text("a: [1")
    with pytest.raises(UsageError, match="not YAML"):
        load_recipe(tmp_path / "x.yaml")


def test_missing_folder_and_small_pictures(data: Path, recipe_file: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        train(load_recipe(recipe_file, ["data.train=nothing"]), data, data / "runs" / "a")
    with pytest.raises(UsageError, match=r"lower data\.patch"):
        train(load_recipe(recipe_file, ["data.patch=40"]), data, data / "runs" / "a")


def test_cache_follows_the_pictures(data: Path, recipe_file: Path) -> None:
    from sharpline.lab.data import open_cache

    before = open_cache(data / "train", 2, data / "cache")
    assert [hr.shape for hr in before.hr] == [(48, 64, 3)] * 3
    assert open_cache(data / "train", 2, data / "cache").digest == before.digest
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(data / "train" / "9.png")
    after = open_cache(data / "train", 2, data / "cache")
    assert len(after) == 4
    assert after.digest != before.digest


def test_checkpoints_that_are_not(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such"):
        load_network(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(b"junk" * 9)
    with pytest.raises(ModelError, match="not a readable"):
        load_network(tmp_path / "b.safetensors")


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 20, 8), (1, 16, 16)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrices))
    assert values.min() > 0.3
    assert values.max() < 1.3
