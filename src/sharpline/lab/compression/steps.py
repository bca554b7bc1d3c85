"""The steps of a chain: a checkpoint in, a checkpoint out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from sharpline.lab.boards.onnx_file import model_of
from sharpline.lab.compression.auto import shares_for
from sharpline.lab.compression.bench import Bench, Outcome, pairs, saved, trained
from sharpline.lab.compression.layers import kernels
from sharpline.lab.compression.pairs import Pair
from sharpline.lab.compression.pruning import Pruner, report
from sharpline.lab.compression.quantize_step import check_quantize, take_quantize
from sharpline.lab.compression.recipe import AUTO, Chain, ChainStep, Distil, Prune, Quantize, Thin
from sharpline.lab.compression.search import search
from sharpline.lab.compression.sensitivity import score, sensitivity
from sharpline.lab.compression.thinning import Thinner, cut, plan
from sharpline.lab.compression.thinning.planning import shares_of
from sharpline.lab.data.patches import PatchSampler
from sharpline.lab.networks import Network
from sharpline.lab.training.checkpoint import load_network
from sharpline.lab.training.sources import open_sources
from sharpline.lab.training.teacher import load_teacher
from sharpline.runtime.certificate.certify import frame_ms

_TAYLOR_BATCHES = 8
_DEADLY = 2.0  # dB; edge-m came back from 1.3 (taylor, half of the channels), and not from 3 (l1, a third)


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
        if step.thinning is not None and step.thinning.schedule.last:
            Thinner(net, step.thinning, step.steps)
        elif step.thinning is not None:
            shares_of(net, step.thinning)
    elif isinstance(step, Quantize):
        check_quantize(chain, step, net, data)


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
        return Outcome(saved(load_network(trained(chain, step, before, bench))[0], bench), [])
    return take_quantize(chain, step, before, bench)


def _prune(chain: Chain, step: Prune, before: Path, bench: Bench) -> Outcome:
    pruning = step.pruning
    if AUTO in pruning.layers:
        net = load_network(before)[0].plain()
        bench.tell("measuring what each layer minds", None)
        points = sensitivity(net, pairs(chain, net, bench), ["sparsity"])
        weights = {layer: kernel.numel() for layer, kernel in kernels(net).items()}
        pruning = pruning.model_copy(update={"layers": shares_for(points, weights, pruning.layers[AUTO])})
    if step.steps:
        more = {"pruning": pruning.model_dump()}
        net = load_network(trained(chain, step, before, bench, more))[0]
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
    return Outcome(saved(net, bench), [note])


def _thin(chain: Chain, step: Thin, before: Path, bench: Bench) -> Outcome:
    """At once where it is due before the first step, so that the cut list is printed before it is done."""
    if step.thinning is None:
        return _search(chain, step, before, bench)
    if step.thinning.schedule.last:
        more = {"thinning": step.thinning.model_dump()}
        net = load_network(trained(chain, step, before, bench, more))[0]
        return Outcome(saved(net, bench), (bench.folder / "training" / "cuts.txt").read_text().splitlines())
    net = load_network(before)[0].plain()
    taylor = step.thinning.criterion == "taylor"
    cuts = plan(net, step.thinning, _batches(chain, step, net, bench) if taylor else None)
    bench.tell(str(cuts), None)
    thinned = cut(net, cuts)
    fate = _fate(net, thinned, pairs(chain, net, bench), by_loss=taylor)
    bench.tell(fate, None)
    return Outcome(_recovered(chain, step, thinned, bench), [*str(cuts).splitlines(), fate])


def _fate(net: Network, thinned: Network, pictures: list[Pair], *, by_loss: bool) -> str:
    """What a cut left, before any training: a network that it killed is known by that, and does not come back."""
    before, after = score(net, pictures), score(thinned, pictures)
    told = f"on pieces of the validation pictures: {before:.2f} dB before the cut, {after:.2f} after it"
    if before - after > _DEADLY:
        other = "" if by_loss else ", or by criterion taylor"
        told += f"; so much seldom comes back: cut less, or in turns (schedule){other}"
    return told


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
        return budget.max_ms is None or frame_ms(model, bench.data / chain.data.valid, chain.frame) <= budget.max_ms

    def tell(widths: Mapping[str, int], drop: float) -> None:
        shown = ", ".join(f"{layer} {channels}" for layer, channels in widths.items())
        bench.tell(f"searching: {drop:.3f} dB before training; {shown}", None)

    thinned, shares = search(
        net,
        pairs(chain, net, bench),
        fits,
        multiple=budget.multiple,
        tell=tell,
    )
    notes = [f"{layer}: {share:.0%} of its channels" for layer, share in shares.items() if share]
    return Outcome(_recovered(chain, step, thinned, bench), notes or ["the budget is met as it is"])


def _recovered(chain: Chain, step: Thin, net: Network, bench: Bench) -> Path:
    if not step.steps:
        return saved(net, bench)
    thinned = saved(net, bench, "thinned")
    return saved(load_network(trained(chain, step, thinned, bench))[0], bench)


def _batches(chain: Chain, step: ChainStep, net: Network, bench: Bench) -> list[tuple[Tensor, Tensor]]:
    """Some training batches, for a criterion that looks at gradients."""
    recipe = chain.recipe(step, net.config.model_dump(), None)
    sources = open_sources(recipe, net.config, bench.data, bench.caches, torch.device("cpu"))
    sampler = PatchSampler(sources.train, recipe.data.patch, recipe.data.batch, recipe.seed)
    return [(batch.lr, batch.hr) for batch in (sampler.next() for _ in range(_TAYLOR_BATCHES))]
