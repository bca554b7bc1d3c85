"""The steps of a chain: a checkpoint in, a checkpoint out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sharpline.errors import SharplineError
from sharpline.lab.boards.onnx_file import model_of
from sharpline.lab.compression.auto import shares_for
from sharpline.lab.compression.layers import kernels
from sharpline.lab.compression.pairs import Pair, middles
from sharpline.lab.compression.pruning import Pruner, PruningConfig, report
from sharpline.lab.compression.quantization import bits_of, calibrate, calibration_pictures, quantize
from sharpline.lab.compression.quantization.stack import plain_stack_of
from sharpline.lab.compression.recipe import AUTO, Chain, ChainStep, Distil, Prune, Quantize, Thin
from sharpline.lab.compression.search import search
from sharpline.lab.compression.sensitivity import sensitivity
from sharpline.lab.compression.thinning import Thinner, cut, plan
from sharpline.lab.data.patches import PatchSampler
from sharpline.lab.networks import Network
from sharpline.lab.training.checkpoint import load_network, save_network
from sharpline.lab.training.loop import Progress, train
from sharpline.lab.training.sources import open_sources
from sharpline.lab.training.teacher import load_teacher
from sharpline.runtime.certificate.certify import frame_ms

Tell = Callable[[str, Progress | None], None]
_TAYLOR_BATCHES = 8
_PAIRS, _PAIR_SIDE = 8, 64  # pictures that layers are compared by, and their side in LR pixels
_HOLD = PruningConfig(criterion="threshold", layers={"*": 0})  # no more than is zero already


@dataclass(frozen=True)
class Bench:
    """Where a chain works.

    Attributes:
        data: folder that its picture folders are relative to.
        folder: of this step; trainings keep theirs in it.
        caches: of decoded pictures.
        about: what checkpoints say of themselves.
        device: ``auto`` or ``cpu``.
        tell: called with what is being done.
    """

    data: Path
    folder: Path
    caches: Path
    about: dict[str, Any]
    device: str
    tell: Tell


@dataclass(frozen=True)
class Outcome:
    """What a step left.

    Attributes:
        checkpoint: of the network.
        notes: what it has to say, for the certificate.
    """

    checkpoint: Path
    notes: list[str]


def check(chain: Chain, step: ChainStep, net: Network, data: Path) -> None:
    """Find what cannot work in a step before any work is done.

    Args:
        chain: the whole chain.
        step: of it.
        net: the plain network that the chain starts from; layers keep their names to the end.
        data: folder that picture folders are relative to.

    Raises:
        UsageError: layers that do not exist, a schedule longer than the training, a teacher of another scale, no
            calibration pictures, a key of a recipe that there is none of.
    """
    recipe = chain.recipe(step, net.config.model_dump(), None)
    if recipe.teacher is not None:
        load_teacher(Path(recipe.teacher.checkpoint), net.config.scale)
    if isinstance(step, Prune):
        layers = {"*": 0.0} if AUTO in step.pruning.layers else step.pruning.layers
        Pruner(net, step.pruning.model_copy(update={"layers": layers}), step.steps)
    elif isinstance(step, Thin):
        if step.thinning is not None and (step.steps or step.thinning.criterion != "taylor"):
            Thinner(net, step.thinning, step.steps)
    elif isinstance(step, Quantize):
        bits_of(plain_stack_of(net).names, step.quantization)
        calibration_pictures(_calibration(chain, step, data), net.config.scale, net.config.colour, count=1)


def take(chain: Chain, step: ChainStep, before: Path, bench: Bench) -> Outcome:
    """Do one step.

    Args:
        chain: the whole chain.
        step: of it.
        before: checkpoint that it starts from.
        bench: where.

    Returns:
        The checkpoint that it leaves, and what it has to say.
    """
    bench.folder.mkdir(parents=True, exist_ok=True)
    if isinstance(step, Prune):
        return _prune(chain, step, before, bench)
    if isinstance(step, Thin):
        return _thin(chain, step, before, bench)
    if isinstance(step, Distil):
        return Outcome(_saved(load_network(_trained(chain, step, before, bench))[0], bench), [])
    return _quantize(chain, step, before, bench)


def _prune(chain: Chain, step: Prune, before: Path, bench: Bench) -> Outcome:
    pruning = step.pruning
    if AUTO in pruning.layers:
        net = load_network(before)[0].plain()
        bench.tell("measuring what each layer minds", None)
        points = sensitivity(net, _pairs(chain, net, bench), ["sparsity"])
        weights = {layer: kernel.numel() for layer, kernel in kernels(net).items()}
        pruning = pruning.model_copy(update={"layers": shares_for(points, weights, pruning.layers[AUTO])})
    if step.steps:
        more = {"pruning": pruning.model_dump()}
        net = load_network(_trained(chain, step, before, bench, more))[0]
    else:
        net = load_network(before)[0].plain()
        Pruner(net, pruning, 0).after_step(0)
    sparsity = report(net)
    total = sparsity.total
    bench.tell(str(sparsity), None)
    note = (
        f"{total.sparsity:.1%} of {total.weights:,} weights are zero: {total.packed_bytes:,} bytes packed, "
        f"{total.dense_bytes:,} dense; zeros make the file smaller, not the network faster"
    )
    return Outcome(_saved(net, bench), [note])


def _thin(chain: Chain, step: Thin, before: Path, bench: Bench) -> Outcome:
    """At once where it is due before the first step, so that the cut list is printed before it is done."""
    if step.thinning is None:
        return _search(chain, step, before, bench)
    if step.thinning.schedule.last:
        more = {"thinning": step.thinning.model_dump()}
        net = load_network(_trained(chain, step, before, bench, more))[0]
        return Outcome(_saved(net, bench), (bench.folder / "training" / "cuts.txt").read_text().splitlines())
    net = load_network(before)[0].plain()
    taylor = step.thinning.criterion == "taylor"
    cuts = plan(net, step.thinning, _batches(chain, step, net, bench) if taylor else None)
    bench.tell(str(cuts), None)
    return Outcome(_recovered(chain, step, cut(net, cuts), bench), str(cuts).splitlines())


def _search(chain: Chain, step: Thin, before: Path, bench: Bench) -> Outcome:
    net, budget = load_network(before)[0].plain(), step.budget
    assert budget is not None

    def fits(candidate: Network) -> bool:
        if budget.max_macs is not None and candidate.macs_per_lr_pixel > budget.max_macs:
            return False
        if budget.max_bytes is None and budget.max_ms is None:
            return True
        model, _ = model_of(candidate, bench.about)
        if budget.max_bytes is not None and model.ByteSize() > budget.max_bytes:
            return False
        return budget.max_ms is None or frame_ms(model, bench.data / chain.data.valid) <= budget.max_ms

    def tell(widths: Mapping[str, int], drop: float) -> None:
        shown = ", ".join(f"{layer} {channels}" for layer, channels in widths.items())
        bench.tell(f"searching: {drop:.3f} dB before training; {shown}", None)

    thinned, shares = search(
        net,
        _pairs(chain, net, bench),
        fits,
        multiple=budget.multiple,
        tell=tell,
    )
    notes = [f"{layer}: {share:.0%} of its channels" for layer, share in shares.items() if share]
    return Outcome(_recovered(chain, step, thinned, bench), notes or ["the budget is met as it is"])


def _recovered(chain: Chain, step: Thin, net: Network, bench: Bench) -> Path:
    if not step.steps:
        return _saved(net, bench)
    thinned = _saved(net, bench, "thinned")
    return _saved(load_network(_trained(chain, step, thinned, bench))[0], bench)


def _quantize(chain: Chain, step: Quantize, before: Path, bench: Bench) -> Outcome:
    net = load_network(before)[0]
    bench.tell("calibrating", None)
    pictures = calibration_pictures(_calibration(chain, step, bench.data), net.config.scale, net.config.colour)
    simulation = quantize(net, step.quantization, calibrate(net, pictures))
    start = _saved(simulation, bench, "start" if step.steps else "network")
    if step.steps:
        start = _saved(load_network(_trained(chain, step, start, bench))[0], bench)
    bits = bits_of(plain_stack_of(net).names, step.quantization)
    names = [f"{name} W{w}A{a}" for name, (w, a) in zip(plain_stack_of(net).names, bits, strict=True)]
    return Outcome(start, [", ".join(names)])


def _trained(chain: Chain, step: ChainStep, before: Path, bench: Bench, more: Mapping[str, Any] | None = None) -> Path:
    """Train from a checkpoint, going on with what was begun; returns the best one. Zeros of earlier steps stay."""
    net = load_network(before)[0].plain()
    if not more and report(net).total.zeros:
        more = {"pruning": _HOLD.model_dump()}
    start = _saved(net, bench, "before")
    recipe = chain.recipe(step, load_network(start)[0].config.model_dump(), start, more)
    folder = bench.folder / "training"
    run = train(
        recipe,
        bench.data,
        folder,
        resume=True,
        device=bench.device,
        report=lambda progress: bench.tell(step.kind, progress),
        caches=bench.caches,
    )
    if run.step < recipe.steps:
        raise SharplineError(
            f"{folder}: stopped at step {run.step} of {recipe.steps}; the same command goes on from there"
        )
    return folder / "best.safetensors"


def _saved(net: Network, bench: Bench, name: str = "network") -> Path:
    path = bench.folder / f"{name}.safetensors"
    save_network(path, copy.deepcopy(net).eval(), bench.about, packed=True)
    return path


def _pairs(chain: Chain, net: Network, bench: Bench) -> list[Pair]:
    return middles(bench.data / chain.data.valid, net.config.scale, _PAIRS, _PAIR_SIDE)


def _calibration(chain: Chain, step: Quantize, data: Path) -> Path:
    train_folder = chain.data.train if isinstance(chain.data.train, str) else chain.data.train[0]
    return data / (step.calibration or train_folder)


def _batches(chain: Chain, step: ChainStep, net: Network, bench: Bench) -> list[tuple[Tensor, Tensor]]:
    """Some training batches, for a criterion that looks at gradients."""
    recipe = chain.recipe(step, net.config.model_dump(), None)
    sources = open_sources(recipe, net.config, bench.data, bench.caches, torch.device("cpu"))
    sampler = PatchSampler(sources.train, recipe.data.patch, recipe.data.batch, recipe.seed)
    return [(batch.lr, batch.hr) for batch in (sampler.next() for _ in range(_TAYLOR_BATCHES))]
