"""Optimisers, gradient clipping and the learning-rate schedule of a recipe."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import torch

from sharpline.lab.networks import Network
from sharpline.lab.training.muon import Muon
from sharpline.lab.training.recipe import Clip, Optimiser, Schedule


def make_optimisers(
    net: Network, choice: Optimiser, beside: Iterable[torch.nn.Parameter] = ()
) -> list[torch.optim.Optimizer]:
    """The recipe's optimisers over all parameters of the network, each parameter in exactly one.

    Args:
        net: the network.
        choice: of the recipe.
        beside: parameters that learn with it but are none of its own.
    """
    hidden = net.hidden_kernels() if choice.kind == "muon" else []
    taken = {id(p) for p in hidden}
    others = [*(p for p in net.parameters() if id(p) not in taken), *beside]
    decay = choice.weight_decay
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.SGD(others, lr=choice.rate, momentum=0.9, weight_decay=decay)
        if choice.kind == "sgd"
        else torch.optim.Adam(others, lr=choice.rate, betas=(0.9, 0.99), weight_decay=decay)
    ]
    if hidden:
        optimisers.append(Muon(hidden, lr=choice.muon_rate))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers


def set_rate(optimisers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    """Set each group's learning rate to ``factor`` times its peak."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor


def rate_factor(step: int, steps: int, schedule: Schedule) -> float:
    """Learning-rate factor in [0, 1] for a step counted from 0.

    Example:
        >>> plain = Schedule(warmup=0)
        >>> [round(rate_factor(i, 4, plain), 2) for i in range(4)]
        [1.0, 0.85, 0.5, 0.15]
        >>> halved = Schedule(warmup=0, kind="step", every=2)
        >>> [rate_factor(i, 4, halved) for i in range(4)]
        [1.0, 1.0, 0.5, 0.5]
    """
    warm = min(1.0, (step + 1) / (schedule.warmup + 1))
    if schedule.kind == "step":
        return warm * schedule.factor ** (step // schedule.every)
    if schedule.kind == "multistep":
        return warm * schedule.factor ** bisect_right(schedule.milestones, step)
    start = schedule.hold * steps
    through = max(0.0, (step - start) / (steps - start))
    return warm * 0.5 * (1 + math.cos(math.pi * through))


def clip_gradients(optimisers: Sequence[torch.optim.Optimizer], clip: Clip) -> None:
    """Limit the gradients, in place, before the optimisers use them."""
    if clip.kind == "norm":
        everything = [p for optimiser in optimisers for group in optimiser.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(everything, clip.limit)
        return
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            torch.nn.utils.clip_grad_value_(group["params"], clip.limit / max(group["lr"], 1e-12))
