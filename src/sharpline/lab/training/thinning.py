"""The end of thinning: the channels that were masked are removed, and the training goes on with what is left."""

from __future__ import annotations

from typing import Any

from sharpline.lab.compression.thinning import Thinner, cut, cut_moments
from sharpline.lab.training.state import Run, replace_networks
from sharpline.lab.training.writing import written


def remove_channels(run: Run) -> None:
    """Remove what a thinner has masked, once it is done: from the network, its mean and the optimisers' moments.

    What is removed is written down in ``cuts.txt`` first.
    """
    thinner = next((c for c in run.companions if isinstance(c, Thinner) and c.settled(run.step)), None)
    if thinner is None:
        return
    if run.accelerator.is_main_process:
        with written(run.folder / "cuts.txt") as file:
            file.write(f"{thinner.cuts}\n".encode())
    moments = cut_moments(run.net, thinner.cuts, _moments(run))
    replace_networks(run, cut(run.net, thinner.cuts), cut(run.mean, thinner.cuts))
    names = {id(parameter): name for name, parameter in run.net.named_parameters()}
    for optimiser in run.optimisers:
        for group in optimiser.param_groups:
            for parameter in group["params"]:
                if names.get(id(parameter)) in moments:
                    optimiser.state[parameter] = moments[names[id(parameter)]]
    run.companions.remove(thinner)


def _moments(run: Run) -> dict[str, dict[str, Any]]:
    """What the optimisers know, by the names of parameters."""
    names = {id(parameter): name for name, parameter in run.net.named_parameters()}
    states = (state for optimiser in run.optimisers for state in optimiser.state.items())
    return {names[id(parameter)]: known for parameter, known in states if id(parameter) in names}
