"""The training loop, top to bottom."""

from __future__ import annotations

import copy
import csv
import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from sharpline.errors import SharplineError, UsageError
from sharpline.lab.data import PatchSampler, PictureCache, open_cache
from sharpline.lab.networks import Network, build
from sharpline.lab.training.checkpoint import adopt, read_tensors, save_network, write_tensors
from sharpline.lab.training.losses import pixel_loss
from sharpline.lab.training.optimisers import make_optimisers, rate_factor, set_rate
from sharpline.lab.training.provenance import provenance
from sharpline.lab.training.recipe import Recipe
from sharpline.lab.training.validate import validate

_SAVE_EVERY_SECONDS = 180.0


@dataclass(frozen=True)
class Progress:
    """What the loop tells about itself after a step."""

    step: int
    steps: int
    loss: float
    psnr_y: float | None  # of the last validation


@dataclass
class Run:
    """A training in progress: everything that changes from step to step."""

    recipe: Recipe
    folder: Path
    net: Network
    mean: Network  # exponential moving average of net's weights
    optimisers: list[torch.optim.Optimizer]
    sampler: PatchSampler
    valid: PictureCache
    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf


def train(
    recipe: Recipe,
    data: Path,
    folder: Path,
    *,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Train a network as a recipe says.

    Writes into ``folder``: ``recipe.yaml`` (in full), ``provenance.json``, ``metrics.csv``,
    ``best.safetensors`` (the averaged weights with the highest validation PSNR) and
    ``last.safetensors`` (everything, for resuming). SIGTERM and Ctrl-C save and stop.

    Args:
        recipe: the recipe.
        data: folder that the recipe's paths are relative to.
        folder: the run's folder.
        resume: go on from ``last.safetensors``; only ``steps``, ``schedule`` and
            ``validate_every`` may differ from the recipe that began it.
        report: called after every step.

    Raises:
        UsageError: a folder that exists without ``resume``, missing pictures, another recipe.
        SharplineError: the loss is no longer finite.
    """
    last = folder / "last.safetensors"
    if last.exists() and not resume:
        raise UsageError(f"{folder}: holds a run already; add --resume, or choose another --output")
    run = start(recipe, data, folder)
    if resume and last.exists():
        restore(run, last)
    precision = torch.autocast("cpu", torch.bfloat16, enabled=wants_bf16(recipe.precision))
    saved, psnr = time.monotonic(), None
    with stop_requested() as stopping:
        while run.step < recipe.steps and not stopping():
            began = time.monotonic()
            with precision:
                loss = one_step(run)
            run.seconds += time.monotonic() - began
            if run.step % recipe.validate_every == 0 or run.step == recipe.steps:
                psnr = score(run, loss)
            if time.monotonic() - saved > _SAVE_EVERY_SECONDS:
                save(run, last)
                saved = time.monotonic()
            report(Progress(run.step, recipe.steps, loss, psnr))
        save(run, last)
    return run


def start(recipe: Recipe, data: Path, folder: Path) -> Run:
    """Build everything at step 0 and write down what is being run."""
    torch.manual_seed(recipe.seed)
    net = build(recipe.network)
    if recipe.init is not None:
        adopt(net, Path(recipe.init))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    scale, caches = net.config.scale, folder.parent / "cache"
    if net.config.colour != "rgb":
        raise UsageError("network.colour: the trainer feeds RGB pictures; choose rgb")
    photos = open_cache(data / recipe.data.train, scale, caches)
    valid = open_cache(data / recipe.data.valid, scale, caches)
    sampler = PatchSampler(photos, scale, recipe.data.patch, recipe.data.batch, recipe.seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(), sort_keys=False))
    (folder / "provenance.json").write_text(json.dumps({**provenance(), "pictures": photos.digest}, indent=1))
    mean = copy.deepcopy(net)
    return Run(recipe, folder, net, mean, make_optimisers(net, recipe.optimiser), sampler, valid)


def one_step(run: Run) -> float:
    """Forward, backward, update, average. Returns the loss."""
    recipe = run.recipe
    set_rate(run.optimisers, rate_factor(run.step, recipe.steps, recipe.schedule))
    lr, hr = run.sampler.next()  # [N, C, P, P], [N, C, P*scale, P*scale]
    loss = pixel_loss(run.net(lr), hr, recipe.loss, recipe.luma_weight)
    value = loss.item()
    if not math.isfinite(value):
        raise SharplineError(
            f"{run.folder}: loss is {value} at step {run.step}; the last good state is kept in "
            "last.safetensors: lower the learning rate and --resume"
        )
    for optimiser in run.optimisers:
        optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for optimiser in run.optimisers:
        optimiser.step()
    run.step += 1
    # A young mean follows quickly, so that early validations mean something.
    decay = min(recipe.ema, run.step / (run.step + 9))
    with torch.no_grad():
        torch._foreach_lerp_(list(run.mean.parameters()), list(run.net.parameters()), 1 - decay)
    return value


def score(run: Run, loss: float) -> float:
    """Validate the mean, note the result, keep the weights if they are the best so far."""
    psnr = validate(run.mean, run.valid)
    with (run.folder / "metrics.csv").open("a", newline="") as file:
        rows = csv.writer(file)
        if file.tell() == 0:
            rows.writerow(["step", "seconds", "loss", "psnr_y"])
        rows.writerow([run.step, round(run.seconds, 1), f"{loss:.6f}", f"{psnr:.4f}"])
    if psnr > run.best:
        run.best = psnr
        facts = json.loads((run.folder / "provenance.json").read_text())
        about = {
            "name": run.recipe.name,
            "card": run.recipe.card.model_dump(),
            "step": run.step,
            "psnr_y_valid": psnr,
            "provenance": facts,
        }
        save_network(run.folder / "best.safetensors", run.mean, about)
    return psnr


def save(run: Run, path: Path) -> None:
    """Write everything that :func:`restore` needs."""
    tensors: dict[str, Tensor] = {"random": torch.get_rng_state()}
    for prefix, net in (("net", run.net), ("mean", run.mean)):
        tensors |= {f"{prefix}.{name}": value for name, value in net.state_dict().items()}
    for number, optimiser in enumerate(run.optimisers):
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{index}.{name}": value for name, value in moments.items()}
    about = {
        "recipe": run.recipe.model_dump(),
        "step": run.step,
        "seconds": run.seconds,
        "best": run.best,
        "sampler": run.sampler.state(),
    }
    write_tensors(path, tensors, about)


def restore(run: Run, path: Path) -> None:
    """Continue exactly where :func:`save` was called."""
    tensors, about = read_tensors(path)
    _same_recipe(about["recipe"], run.recipe.model_dump(), path)
    torch.set_rng_state(tensors["random"])
    for prefix, net in (("net", run.net), ("mean", run.mean)):
        net.load_state_dict(_below(tensors, f"{prefix}."))
    for number, optimiser in enumerate(run.optimisers):
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(tensors, f"optimiser.{number}.").items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    run.sampler.restore(about["sampler"])
    run.step, run.seconds, run.best = about["step"], about["seconds"], about["best"]
    _forget_after(run.folder / "metrics.csv", run.step)


def wants_bf16(precision: str) -> bool:
    """Whether to train under bf16 autocast; ``auto`` asks the processor for native bf16 products."""
    if precision == "auto":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and torch.cpu._is_avx512_bf16_supported()
    return precision == "bf16"


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and SIGINT into a question the loop asks between steps."""
    asked: list[int] = []
    old = {s: signal.signal(s, lambda number, frame: asked.append(number)) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _same_recipe(old: dict[str, Any], new: dict[str, Any], path: Path) -> None:
    free = {"steps", "schedule", "validate_every", "card", "init"}
    changed = [key for key in new if key not in free and old.get(key) != new[key]]
    if changed:
        raise UsageError(f"{path}: was begun with another {', '.join(changed)}; resume with the same recipe")


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _forget_after(table: Path, step: int) -> None:
    """Drop validations that a crash left in the table but that the resumed run will do again."""
    if table.exists():
        header, *rows = table.read_text().splitlines()
        kept = [row for row in rows if int(row.split(",")[0]) <= step]
        table.write_text("\n".join([header, *kept]) + "\n")
