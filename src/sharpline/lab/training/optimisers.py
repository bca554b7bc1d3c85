"""Optimisers and the learning-rate schedule of a recipe."""

from __future__ import annotations

import math

import torch

from sharpline.lab.networks import Network
from sharpline.lab.training.muon import Muon
from sharpline.lab.training.recipe import Optimiser, Schedule


def make_optimisers(net: Network, choice: Optimiser) -> list[torch.optim.Optimizer]:
    """The recipe's optimisers over all parameters of the network, each parameter in exactly one."""
    hidden = net.hidden_matrices() if choice.kind == "muon" else []
    taken = {id(p) for p in hidden}
    others = [p for p in net.parameters() if id(p) not in taken]
    optimisers: list[torch.optim.Optimizer] = [torch.optim.Adam(others, lr=choice.rate, betas=(0.9, 0.99))]
    if hidden:
        optimisers.append(Muon(hidden, lr=choice.muon_rate))
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers


def set_rate(optimisers: list[torch.optim.Optimizer], factor: float) -> None:
    """Set each group's learning rate to ``factor`` times its peak."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor


def rate_factor(step: int, steps: int, schedule: Schedule) -> float:
    """Learning-rate factor in [0, 1] for a step counted from 0.

    Example:
        >>> from sharpline.lab.training.recipe import Schedule
        >>> plain = Schedule(warmup=0)
        >>> [round(rate_factor(i, 4, plain), 2) for i in range(4)]
        [1.0, 0.85, 0.5, 0.15]
    """
    warm = min(1.0, (step + 1) / (schedule.warmup + 1))
    start = schedule.hold * steps
    through = max(0.0, (step - start) / (steps - start))
    return warm * 0.5 * (1 + math.cos(math.pi * through))
