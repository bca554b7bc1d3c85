"""The training loop, top to bottom."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from accelerate import Accelerator
from PIL import Image

from sharpline.errors import SharplineError, UsageError
from sharpline.lab.data.patches import Ahead, PatchSampler
from sharpline.lab.networks import Network, build
from sharpline.lab.training.checkpoint import adopt, save_network
from sharpline.lab.training.companions import companions
from sharpline.lab.training.launch import meet, together
from sharpline.lab.training.leakage import leak_warning
from sharpline.lab.training.logbook import Entry, Logbook
from sharpline.lab.training.objective import Objective
from sharpline.lab.training.optimisers import clip_gradients, make_optimisers, rate_factor, set_rate
from sharpline.lab.training.provenance import provenance, write_provenance
from sharpline.lab.training.recipe import Recipe
from sharpline.lab.training.report import preview, write_report
from sharpline.lab.training.sources import Sources, open_sources
from sharpline.lab.training.state import Run, check_same, restore, save
from sharpline.lab.training.stopping import stop_requested
from sharpline.lab.training.thinning import remove_channels
from sharpline.lab.training.transfer import open_transfer
from sharpline.lab.training.validate import validate
from sharpline.lab.training.writing import written

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
_TRIAL = 32  # side in LR pixels of a picture that a network is tried with


@dataclass(frozen=True)
class Progress:
    """What the loop tells about itself after a step."""

    step: int
    steps: int
    loss: float
    psnr_y: float | None  # of the last validation


Report = Callable[[Progress], None]


@together()
def train(
    recipe: Recipe,
    data: Path,
    folder: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    report: Report = lambda progress: None,
    warn: Callable[[str], None] = lambda words: None,
    caches: Path | None = None,
) -> Run:
    """Train a network as a recipe says.

    Writes into ``folder``: ``recipe.yaml`` (in full), ``provenance.json``, ``metrics.csv``, ``tensorboard/``,
    ``best.safetensors`` (the averaged weights with the highest validation PSNR; where the network is pruned or thinned,
    of those after the last turn), ``last.safetensors`` (everything, for resuming) and ``report.png``. SIGTERM and
    Ctrl-C save and stop. In several processes (``torchrun``, ``accelerate launch``) each batch is shared between them,
    and the first one writes.

    Args:
        recipe: the recipe.
        data: folder that the recipe's picture folders are relative to.
        folder: the run's folder.
        resume: go on from ``last.safetensors``; only ``steps``, ``schedule``, ``clip``, ``card``, ``init``,
            ``validate_every``, ``save_minutes`` and the optimiser's rates may differ from the recipe that began it.
        device: ``auto`` (a GPU if there is one) or ``cpu``.
        report: called after every step.
        warn: called with a line for people, where validation pictures are trained on.
        caches: where decoded pictures are kept; None: beside the run's folder.

    Raises:
        UsageError: a folder that exists without ``resume``, missing pictures, another recipe.
        SharplineError: the loss is no longer finite, the disk is full, or another process of the training is gone.
    """
    last = folder / "last.safetensors"
    if last.exists() and not resume:
        raise UsageError(f"{folder}: holds a run already; add --resume, or choose another --output")
    if last.exists():
        check_same(last, recipe)
    accelerator = meet(cpu=device == "cpu")
    caches = caches or folder.parent / "cache"
    net = build(recipe.network)
    if recipe.init is not None:
        adopt(net, Path(recipe.init))
    companions(recipe, net)  # refused now rather than after the decoding, as is what cannot be started from
    with accelerator.main_process_first():
        sources = open_sources(recipe, net.config, data, caches, accelerator.device)
    if accelerator.is_main_process and (line := leak_warning(sources.train[net.config.scale], sources.valid, caches)):
        warn(line)
    run = start(recipe, sources, folder, accelerator)
    if resume and last.exists():
        restore(run, last)
    try:
        return go_on(run, report)
    finally:
        run.batches.close()


def start(recipe: Recipe, sources: Sources, folder: Path, accelerator: Accelerator) -> Run:
    """Build everything at step 0."""
    if accelerator.is_main_process:
        folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    net = build(recipe.network)
    if recipe.init is not None:
        adopt(net, Path(recipe.init))
    net.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = copy.deepcopy(net).eval()
    transfer = open_transfer(net, recipe, accelerator.device)
    optimisers = make_optimisers(net, recipe.optimiser, [] if transfer is None else transfer.links.parameters())
    sampler = PatchSampler(
        sources.train,
        recipe.data.patch,
        recipe.data.batch,
        recipe.seed,
        candidates=recipe.data.candidates,
        taught=sources.taught,
        process=(accelerator.process_index, accelerator.num_processes),
    )
    scaler = torch.amp.GradScaler(accelerator.device.type, enabled=recipe.precision == "fp16")
    objective = accelerator.prepare(Objective(net, recipe, transfer))
    epoch = math.ceil(len(sources.train[net.config.scale]) / recipe.data.batch)
    facts = {
        **provenance(),
        "device": str(accelerator.device),
        "processes": str(accelerator.num_processes),
        "pictures": sources.digest,
    }
    run = Run(
        recipe,
        folder,
        accelerator,
        net,
        mean,
        objective,
        optimisers,
        Ahead(sampler),
        scaler,
        sources.valid,
        companions(recipe, net, mean, epoch),
        facts,
    )
    after_step(run)
    return run


def go_on(run: Run, report: Report) -> Run:
    """Step until the recipe's end or a request to stop; validate, save and report on the way."""
    recipe, last, psnr = run.recipe, run.folder / "last.safetensors", None
    chief = run.accelerator.is_main_process
    logbook: AbstractContextManager[Logbook | None] = Logbook(run.folder, run.step) if chief else nullcontext()
    saved = time.monotonic()
    if chief and run.step < recipe.steps:  # a run that is at its end is not touched
        write_recipe(run)
        write_provenance(run.folder, run.facts, run.step)
    with stop_requested(run.accelerator) as stopping, logbook as book:
        while run.step < recipe.steps and not stopping():
            loss = one_step(run)
            if run.step % recipe.validate_every == 0 or run.step == recipe.steps:
                if book is not None:
                    psnr = score(run, book)
                run.accelerator.wait_for_everyone()
            if chief and time.monotonic() - saved > 60 * recipe.save_minutes:
                try_out(run)
                save(run, last)
                saved = time.monotonic()
            report(Progress(run.step, recipe.steps, loss, psnr))
    if chief:
        try_out(run)
        save(run, last)
        write_report(run.folder)
    return run


def write_recipe(run: Run) -> None:
    """Write down what is being run, in full."""
    with written(run.folder / "recipe.yaml") as file:
        file.write(yaml.safe_dump(run.recipe.model_dump(), sort_keys=False).encode())


def one_step(run: Run) -> float:
    """Forward, backward, clip, update, average. Returns the loss, the mean over all processes."""
    recipe, began = run.recipe, time.monotonic()
    set_rate(run.optimisers, rate_factor(run.step, recipe.steps, recipe.schedule))
    batch = run.batches.next().to(run.accelerator.device)
    with half_precision(recipe.precision, run.accelerator.device):
        loss = run.objective(batch)
    value = float(run.accelerator.reduce(loss.detach(), "mean"))
    if not math.isfinite(value):
        raise diverged(run, f"loss is {value} at step {run.step} on patches of {', '.join(batch.names[:3])}")
    for optimiser in run.optimisers:
        optimiser.zero_grad(set_to_none=True)
    run.scaler.scale(loss).backward()
    for companion in run.companions:
        companion.before_step()
    if recipe.clip is not None:
        for optimiser in run.optimisers:
            run.scaler.unscale_(optimiser)
        clip_gradients(run.optimisers, recipe.clip)
    for optimiser in run.optimisers:
        run.scaler.step(optimiser)
    run.scaler.update()
    run.step += 1
    follow(run.mean, run.net, min(recipe.ema, run.step / (run.step + 9)))
    after_step(run)
    run.loss_since += value
    run.steps_since += 1
    seconds = time.monotonic() - began
    run.seconds += seconds
    run.seconds_since += seconds
    return value


def diverged(run: Run, what: str) -> SharplineError:
    """The error that ends a run whose numbers are no longer finite."""
    kept = run.folder / "last.safetensors"
    state = f"the last good state is in {kept}" if kept.exists() else "nothing had been saved yet"
    return SharplineError(f"{run.folder}: {what}; {state}; lower the learning rate or set clip, and --resume")


@torch.no_grad()
def try_out(run: Run) -> None:
    """Before a state is kept: a step whose loss was finite may have left a network that makes nothing finite."""
    grey = torch.full((1, run.net.config.colours, _TRIAL, _TRIAL), 0.5, device=run.accelerator.device)
    run.net.eval()
    with half_precision(run.recipe.precision, run.accelerator.device):
        sr = run.net(grey)
    run.net.train()
    if not sr.isfinite().all():
        raise diverged(run, f"the network makes nothing finite after step {run.step}")


def after_step(run: Run) -> None:
    """Let the companions have their part; 0 steps are done when a run starts."""
    for companion in run.companions:
        companion.after_step(run.step)
    remove_channels(run)


@torch.no_grad()
def follow(mean: Network, net: Network, decay: float) -> None:
    """Move the mean towards the network; a young mean follows quickly, so that early validations mean something."""
    torch._foreach_lerp_(list(mean.parameters()), list(net.parameters()), 1 - decay)
    for kept, new in zip(mean.buffers(), net.buffers(), strict=True):  # statistics of batch normalisation
        kept.copy_(new)


def score(run: Run, book: Logbook) -> float:
    """Validate the mean, note the result, keep the weights if they are the best so far."""
    try_out(run)
    psnr, recipe = validate(run.mean, run.valid), run.recipe
    picture = preview(run.mean, run.valid)
    with written(run.folder / "preview.png") as file:
        Image.fromarray(picture).save(file, format="png")
    rate = rate_factor(run.step - 1, recipe.steps, recipe.schedule)
    speed = recipe.data.batch * run.steps_since / run.seconds_since
    book.add(Entry(run.step, run.seconds, run.loss_since / run.steps_since, psnr, rate, speed), picture)
    run.loss_since, run.steps_since, run.seconds_since = 0.0, 0, 0.0
    if psnr > run.best and all(companion.settled(run.step) for companion in run.companions):
        run.best = psnr
        about = {
            "name": recipe.name,
            "card": recipe.card.model_dump(),
            "step": run.step,
            "psnr_y_valid": psnr,
            "provenance": json.loads((run.folder / "provenance.json").read_text()),
        }
        save_network(run.folder / "best.safetensors", run.mean, about)
    return psnr


def half_precision(precision: str, device: torch.device) -> torch.autocast:
    """The autocast that a recipe's precision means on a device; ``auto`` asks for native bf16 products."""
    if precision == "auto":
        precision = "bf16" if has_bf16(device) else "fp32"
    return torch.autocast(device.type, _HALF.get(precision, torch.bfloat16), enabled=precision in _HALF)


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 natively."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported())
