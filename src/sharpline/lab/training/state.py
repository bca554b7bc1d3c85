"""Everything that changes in a training, saved and restored to the bit."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from sharpline.errors import ModelError, UsageError
from sharpline.lab.compression.companion import Companion
from sharpline.lab.data.cache import PictureCache
from sharpline.lab.data.patches import Ahead
from sharpline.lab.networks import Network, build, parse
from sharpline.lab.training.checkpoint import read_tensors, write_tensors
from sharpline.lab.training.objective import Objective
from sharpline.lab.training.optimisers import make_optimisers
from sharpline.lab.training.recipe import Recipe
from sharpline.lab.training.transfer import open_transfer

# What a run may go on with otherwise than it began; of the optimiser all but its kind, whose moments are kept.
_MAY_CHANGE = {"steps", "schedule", "clip", "validate_every", "save_minutes", "card", "init"}


@dataclass
class Run:
    """A training in progress.

    Attributes:
        accelerator: knows the device and the processes.
        net: the network itself.
        mean: exponential moving average of its weights.
        objective: the loss over ``net``, wrapped for the processes there are.
        optimisers: wrapped likewise.
        batches: where batches come from.
        scaler: of gradients, which only fp16 needs.
        valid: pictures that choose the best checkpoint.
        companions: what has a part in every step beside the optimisers.
        facts: where it runs, with which code, on which pictures.
        seconds: spent in steps; the three ``since`` values count from the last validation.
    """

    recipe: Recipe
    folder: Path
    accelerator: Accelerator
    net: Network
    mean: Network
    objective: torch.nn.Module
    optimisers: list[torch.optim.Optimizer]
    batches: Ahead
    scaler: torch.amp.GradScaler
    valid: PictureCache
    companions: list[Companion] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    loss_since: float = 0.0
    steps_since: int = 0
    seconds_since: float = 0.0


_COUNTERS = ("step", "seconds", "best", "loss_since", "steps_since", "seconds_since")


def save(run: Run, path: Path) -> None:
    """Write everything that :func:`restore` needs."""
    tensors: dict[str, Tensor] = {"random": torch.get_rng_state()}
    for prefix, net in (("net", run.net), ("mean", run.mean)):
        tensors |= {f"{prefix}.{name}": value for name, value in net.state_dict().items()}
    tensors |= {f"links.{name}": value for name, value in _links(run).items()}
    for number, optimiser in enumerate(run.optimisers):
        for index, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{index}.{n}": v for n, v in moments.items() if isinstance(v, Tensor)}
    for number, companion in enumerate(run.companions):
        tensors |= {f"companion.{number}.{name}": value for name, value in companion.state().items()}
    about = {
        "recipe": run.recipe.model_dump(),
        "network": run.net.config.model_dump(),
        "sampler": run.batches.state(),
        "scaler": run.scaler.state_dict(),
        **{name: getattr(run, name) for name in _COUNTERS},
    }
    write_tensors(path, tensors, about)


def restore(run: Run, path: Path) -> None:
    """Continue exactly where :func:`save` was called, with a recipe that :func:`check_same` has seen."""
    tensors, about = read_tensors(path)
    if "network" in about and parse(about["network"]) != run.net.config:  # thinning is done
        net = build(about["network"])
        replace_networks(run, net, copy.deepcopy(net).eval())
        run.companions.clear()
    torch.set_rng_state(tensors["random"])
    for prefix, net in (("net", run.net), ("mean", run.mean)):
        net.load_state_dict(_below(tensors, f"{prefix}."))
    with torch.no_grad():
        for name, value in _links(run).items():
            value.copy_(tensors[f"links.{name}"])
    for number, optimiser in enumerate(run.optimisers):
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(tensors, f"optimiser.{number}.").items():
            index, _, name = key.partition(".")
            state.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    for number, companion in enumerate(run.companions):
        companion.restore(_below(tensors, f"companion.{number}."))
    if run.scaler.is_enabled():
        run.scaler.load_state_dict(about["scaler"])
    run.batches.restore(about["sampler"])
    for name in _COUNTERS:
        setattr(run, name, about[name])


def _links(run: Run) -> dict[str, Tensor]:
    """What learns beside the network: the links to a teacher's features."""
    transfer = run.accelerator.unwrap_model(run.objective).transfer
    return {} if transfer is None else dict(transfer.links.named_parameters())


def replace_networks(run: Run, net: Network, mean: Network) -> None:
    """Go on with other networks, and with optimisers and links to a teacher that know nothing of them yet."""
    device = run.accelerator.device
    for other in (net, mean):
        other.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    run.net, run.mean = net, mean
    transfer = open_transfer(net, run.recipe, device)
    run.optimisers = make_optimisers(net, run.recipe.optimiser, [] if transfer is None else transfer.links.parameters())
    run.objective = run.accelerator.prepare(Objective(net, run.recipe, transfer))


def check_same(path: Path, recipe: Recipe) -> None:
    """Refuse to go on with another recipe than a run was begun with.

    Raises:
        UsageError: it is another one.
        ModelError: the file holds no state of a run.
    """
    about = read_tensors(path)[1]
    if "recipe" not in about:
        raise ModelError(f"{path}: holds no state of a training; choose another --output")
    began, now = _lasting(Recipe(**about["recipe"])), _lasting(recipe)  # with what keys not there yet mean today
    changed = [key for key in now if began[key] != now[key]]
    if changed:
        raise UsageError(f"{path}: was begun with another {', '.join(changed)}; resume with the same recipe")


def _lasting(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe has to stay the same from a run's beginning to its end."""
    settings = recipe.model_dump(exclude=_MAY_CHANGE)
    return {**settings, "optimiser": recipe.optimiser.kind}


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
