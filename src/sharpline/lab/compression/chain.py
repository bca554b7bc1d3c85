"""Runs a chain: step by step, each measured, and at the end a certificate; ships nothing that breaks the contract."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from pydantic import ValidationError

from sharpline.errors import UsageError
from sharpline.lab.boards.onnx_file import model_of, write_model
from sharpline.lab.compression.bench import Bench, Outcome, Tell
from sharpline.lab.compression.recipe import Chain, ChainStep
from sharpline.lab.compression.steps import check, take
from sharpline.lab.data.files import pictures_in
from sharpline.lab.networks import Network, build
from sharpline.lab.networks.integer import Integer, to_integer
from sharpline.lab.training.checkpoint import load_network, save_integer, save_network
from sharpline.lab.training.logbook import read_entries
from sharpline.lab.training.provenance import commit
from sharpline.pixels.atomic import whole_file
from sharpline.runtime.certificate.certify import Certified, History, certify, measure, photograph
from sharpline.runtime.certificate.document import Certificate, Step, write_certificate
from sharpline.runtime.certificate.page import write_page
from sharpline.runtime.certificate.scoring import compare
from sharpline.runtime.certificate.timing import interleaved
from sharpline.runtime.evaluation import evaluate_model
from sharpline.runtime.modelfile import load_model
from sharpline.runtime.upscaler import Upscaler

_STEP_FRAMES = 5  # timed after each step; the certificate takes more


@dataclass(frozen=True)
class Result:
    """What a chain came to.

    Attributes:
        certificate: with the breaches of the contract, none if all is well.
        files: what was written; without a model where the contract is broken.
    """

    certificate: Certificate
    files: list[Path]


def compress(
    chain: Chain, data: Path, folder: Path, *, recipe_sha256: str = "", device: str = "auto", tell: Tell
) -> Result:
    """Run a chain. What an interrupted run has done is not done again.

    Args:
        chain: the chain.
        data: folder that its picture folders are relative to.
        folder: of the run: a folder for each step, and the result.
        recipe_sha256: of the recipe's file, for the certificate.
        device: ``auto`` or ``cpu``.
        tell: called with what is being done.

    Raises:
        UsageError: something in the chain cannot work; found before any work is done.
        ModelError: the network cannot be read or exported.
    """
    net, known = _start(chain)
    plain = net.plain()
    sets = {name: data / below for name, below in chain.sets.items()}
    for place in (*sets.values(), data / chain.data.valid):
        pictures_in(place)
    for step in chain.chain:
        check(chain, step, plain, data)
    about = {**known, "name": chain.name, "card": chain.card.model_dump()}
    _claim(folder, chain)
    before, _ = model_of(net, about, known["name"])
    models, steps = [before], []
    checkpoint, score = _checkpoint(chain, net, about, folder), _valid(before, data, chain)
    for number, step in enumerate(chain.chain, 1):
        bench = Bench(data, folder / f"{number}-{step.kind}", folder.parent / "cache", models[-1], about, device, tell)
        tell(f"step {number} of {len(chain.chain)}: {step.kind}", None)
        outcome, seconds = _once(chain, step, checkpoint, bench)
        model = _model(outcome, chain.name)
        steps.append(_measured(step, outcome, model, score, chain, data, seconds))
        checkpoint, score = outcome.checkpoint, steps[-1].psnr_after
        models.append(model)
    history = History(commit(), chain.model_dump(mode="json"), recipe_sha256, _digest(folder), steps)
    certified = certify(
        before,
        models[-1],
        sets,
        contract=chain.contract,
        history=history,
        frame=chain.frame,
        tell=lambda what: tell(what, None),
    )
    if certified.certificate.breaches:
        certified = _blamed(certified, models, sets, chain)
    return Result(certified.certificate, _ship(certified, models, checkpoint, chain, folder))


def _start(chain: Chain) -> tuple[Network, dict[str, Any]]:
    """The network that a chain starts from, and what is known of it."""
    if isinstance(chain.model, str):
        net, about = load_network(Path(chain.model))
        return net, {**about, "name": Path(chain.model).stem}
    torch.manual_seed(0)
    net = build(chain.model).eval()
    return net, {"name": f"{net.config.family}-of-random-weights"}


def _checkpoint(chain: Chain, net: Network, about: dict[str, Any], folder: Path) -> Path:
    """Of the network that a chain starts from; random weights become one."""
    if isinstance(chain.model, str):
        return Path(chain.model)
    save_network(folder / "start.safetensors", net, about)
    return folder / "start.safetensors"


def _claim(folder: Path, chain: Chain) -> None:
    """A run's folder belongs to one chain; the contract may change, what is done does not depend on it."""
    folder.mkdir(parents=True, exist_ok=True)
    path, free = folder / "chain.json", {"contract", "sets", "card"}
    mine = chain.model_dump(mode="json", exclude=free)
    if path.exists():
        theirs = {**chain.model_dump(mode="json", include=free), **json.loads(path.read_text())}
        try:  # with what keys that there were not yet mean today
            same = Chain.model_validate(theirs) == chain
        except ValidationError:
            same = False
        if not same:
            raise UsageError(f"{folder}: holds a run of another chain; choose another --output")
    with whole_file(path, overwrite=True) as file:
        file.write(json.dumps(mine, indent=1).encode())


def _once(chain: Chain, step: ChainStep, before: Path, bench: Bench) -> tuple[Outcome, float]:
    """A step's outcome and the seconds that it took; from its folder where it was done already."""
    done = bench.folder / "done.json"
    if done.exists():
        kept = json.loads(done.read_text())
        model = kept.get("model")
        outcome = Outcome(bench.folder / kept["checkpoint"], kept["notes"], model and bench.folder / model)
        return outcome, kept.get("seconds") or _trained(bench.folder)
    begun = time.monotonic()
    outcome = take(chain, step, before, bench)
    # A training that was stopped on the way has counted its earlier stretches
    seconds = max(time.monotonic() - begun, _trained(bench.folder))
    kept = {"checkpoint": outcome.checkpoint.name, "notes": outcome.notes, "seconds": round(seconds, 1)}
    if outcome.model is not None:
        kept["model"] = outcome.model.name
    with whole_file(done, overwrite=True) as file:
        file.write(json.dumps(kept).encode())
    return outcome, seconds


def _trained(folder: Path) -> float:
    """Seconds of a step's training, however often it was stopped; 0 where there was none."""
    entries = read_entries(folder / "training") if (folder / "training" / "metrics.csv").exists() else []
    return entries[-1].seconds if entries else 0.0


def _model(outcome: Outcome, name: str) -> onnx.ModelProto:
    if outcome.model is not None:
        return load_model(outcome.model)
    return model_of(*load_network(outcome.checkpoint), name)[0]


def _measured(
    step: ChainStep, outcome: Outcome, model: onnx.ModelProto, score: float, chain: Chain, data: Path, seconds: float
) -> Step:
    channels = Upscaler(model).card.channels
    frame = photograph(chain.frame, channels, {"valid": data / chain.data.valid})
    measured = measure(model, interleaved([Upscaler(model)], frame, _STEP_FRAMES)[0], chain.frame)
    return Step(
        kind=step.kind,
        settings=step.model_dump(mode="json", exclude={"kind"}, exclude_none=True),
        psnr_before=score,
        psnr_after=_valid(model, data, chain),
        bytes=measured.bytes,
        bytes_deflated=measured.bytes_deflated,
        macs=measured.macs,
        ms=measured.ms_p50,
        seconds=seconds,
        notes=outcome.notes,
    )


def _valid(model: onnx.ModelProto, data: Path, chain: Chain) -> float:
    upscaler = Upscaler(model)
    return evaluate_model(upscaler, data / chain.data.valid, upscaler.scale).psnr_y


def _digest(folder: Path) -> str:
    """SHA-256 over the training pictures of the chain's trainings; they all learn from the same."""
    for path in sorted(folder.glob("*/training/provenance.json")):
        return str(json.loads(path.read_text())["pictures"])
    return ""


def _blamed(certified: Certified, models: list[onnx.ModelProto], sets: Mapping[str, Path], chain: Chain) -> Certified:
    """Says after which step a set had lost more than the contract allows."""
    limit, breaches = chain.contract.max_drop, list(certified.certificate.breaches)
    for name, folder in sets.items():
        if limit is None or certified.certificate.sets[name].drop <= limit:
            continue
        first = Upscaler(models[0])
        for number, (step, model) in enumerate(zip(chain.chain, models[1:], strict=True), 1):
            drop = compare(first, Upscaler(model), folder).scores.drop
            if drop > limit:
                breaches.append(f"{name}: after step {number}, {step.kind}, it had lost {drop:.3f} dB")
                break
    certificate = certified.certificate.model_copy(update={"breaches": breaches})
    return Certified(certificate, certified.model, certified.comparisons)


def _ship(
    certified: Certified, models: list[onnx.ModelProto], checkpoint: Path, chain: Chain, folder: Path
) -> list[Path]:
    certificate = certified.certificate
    refused = bool(certificate.breaches)
    model, kept = folder / f"{chain.name}.onnx", folder / f"{chain.name}.safetensors"
    if refused:  # of an earlier run, under another contract
        for path in (model, kept, folder / f"{chain.name}.certificate.json", folder / f"{chain.name}.certificate.html"):
            path.unlink(missing_ok=True)
    stem = f"{chain.name}.refused" if refused else f"{chain.name}.certificate"
    document, page = folder / f"{stem}.json", folder / f"{stem}.html"
    write_certificate(certificate, document)
    write_page(page, certificate, certified.comparisons, (models[0], certified.model))
    if refused:
        return [document, page]
    write_model(certified.model, model)
    net, about = load_network(checkpoint)
    if isinstance(net, Integer):  # what is shipped are the integers, packed, not the floats that they were learnt in
        save_integer(kept, to_integer(net), about)
    else:
        save_network(kept, net, about, packed=True)
    return [model, kept, document, page]
