"""What the steps of a chain share: where they work, what they leave, how they train."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from sharpline.errors import Stopped
from sharpline.lab.compression.pairs import Pair, middles
from sharpline.lab.compression.pruning import PruningConfig, report
from sharpline.lab.compression.recipe import Chain, ChainStep
from sharpline.lab.networks import Network
from sharpline.lab.training.checkpoint import load_network, save_network
from sharpline.lab.training.loop import Progress, train

Tell = Callable[[str, Progress | None], None]
_PAIRS, _PAIR_SIDE = 8, 64  # pictures that layers are compared by, and their side in LR pixels
_HOLD = PruningConfig(criterion="threshold", layers={"*": 0})  # no more than is zero already


@dataclass(frozen=True)
class Bench:
    """Where a chain works.

    Attributes:
        data: folder that its picture folders are relative to.
        folder: of this step; trainings keep theirs in it.
        caches: of decoded pictures.
        model: what the step starts from, exported.
        about: what checkpoints say of themselves.
        device: ``auto`` or ``cpu``.
        tell: called with what is being done.
    """

    data: Path
    folder: Path
    caches: Path
    model: onnx.ModelProto
    about: dict[str, Any]
    device: str
    tell: Tell


@dataclass(frozen=True)
class Outcome:
    """What a step left.

    Attributes:
        checkpoint: of the network.
        notes: what it has to say, for the certificate.
        model: the file that is shipped, where the checkpoint holds the floats that it was made from; None: it is
            made from the checkpoint.
    """

    checkpoint: Path
    notes: list[str]
    model: Path | None = None


def trained(chain: Chain, step: ChainStep, before: Path, bench: Bench, more: Mapping[str, Any] | None = None) -> Path:
    """Train from a checkpoint, going on with what was begun; returns the best one. Zeros of earlier steps stay."""
    net = load_network(before)[0].plain()
    if not more and report(net).total.zeros:
        more = {"pruning": _HOLD.model_dump()}
    start = saved(net, bench, "before")
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
        raise Stopped(f"{folder}: stopped at step {run.step} of {recipe.steps}; the same command goes on from there")
    return folder / "best.safetensors"


def saved(net: Network, bench: Bench, name: str = "network") -> Path:
    """Write a checkpoint of a step."""
    path = bench.folder / f"{name}.safetensors"
    save_network(path, copy.deepcopy(net).eval(), bench.about, packed=True)
    return path


def pairs(chain: Chain, net: Network, bench: Bench) -> list[Pair]:
    """Small pictures of the validation set, which layers are compared by."""
    return middles(bench.data / chain.data.valid, net.config.scale, _PAIRS, _PAIR_SIDE, net.config.colour)
