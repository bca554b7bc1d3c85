"""Muon: steepest descent under the spectral norm, for kernels seen as matrices.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. torch.optim.Muon
orthogonalises one matrix at a time in bfloat16, 100 ms a step for an edge network on a CPU without
bf16 units, as long as the rest of the step; here all matrices of one shape go together, in float32.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Jordan's quintic: singular values to 0.7 .. 1.2 in five rounds


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised.

    Args:
        parameters: matrices [out, in], or kernels [out, ...], which are seen as matrices with a row an output.
        lr: learning rate; an update has a spectral norm of about ``lr * max(1, out / in) ** 0.5``.
        momentum: decay of the gradient's running mean.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; a closure has no use here."""
        for group in self.param_groups:
            alike: dict[tuple[int, ...], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[tuple(parameter.shape)].append(parameter)
            for shape, parameters in alike.items():
                pushes = torch.stack([self._push(p, group["momentum"]).flatten(1) for p in parameters])
                rate = group["lr"] * max(1.0, pushes.shape[1] / pushes.shape[2]) ** 0.5
                for parameter, update in zip(parameters, orthogonalised(pushes), strict=True):
                    parameter.sub_(update.view(shape), alpha=rate)

    def _push(self, parameter: Tensor, momentum: float) -> Tensor:
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(state["momentum"], momentum)


def orthogonalised(matrices: Tensor, rounds: int = 5) -> Tensor:
    """Replace the singular values of each matrix [N, rows, columns] by values near 1 (Newton-Schulz)."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.mT if tall else x
    return result
