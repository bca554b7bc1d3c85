"""What a student learns from inside of its teacher: features, and where the teacher looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sharpline.errors import UsageError
from sharpline.lab.networks import Network
from sharpline.lab.training.recipe import Recipe, Teacher
from sharpline.lab.training.teacher import load_teacher

_SMALL = 1e-6


def open_transfer(net: Network, recipe: Recipe, device: torch.device) -> Transfer | None:
    """What a recipe's student learns from inside of its teacher; None where it learns from pictures alone.

    Raises:
        UsageError: a teacher or layers that do not fit.
    """
    if recipe.teacher is None or not (recipe.teacher.features or recipe.teacher.attention):
        return None
    teacher = load_teacher(Path(recipe.teacher.checkpoint), net.config.scale)
    return Transfer(net, teacher.to(device), recipe.teacher).to(device)


class Transfer(nn.Module):
    """Distances between layers of a student and of its teacher.

    Features go through a learned 1x1 convolution, which is thrown away, and are compared in the teacher's own units
    (Romero et al., "FitNets", ICLR 2015, equation 3). Attention is the sum of squares over the channels, brought to
    unit length (Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, equation 2), and needs no
    more parameters.

    Args:
        net: the student; its features are taken as it runs.
        teacher: of any family; it runs on the same LR pictures, without gradients.
        config: names the pairs of layers and their weights.

    Raises:
        UsageError: a layer that does not exist, or gives no picture of features.
    """

    def __init__(self, net: Network, teacher: Network, config: Teacher) -> None:
        super().__init__()
        self.teacher = teacher.eval().requires_grad_(False)
        self._config = config
        students, teachers = (
            {layer for pairs in (config.features, config.attention) for layer in pick(pairs)}
            for pick in (dict.keys, dict.values)
        )
        self._student = _Tap(net, students, "student")
        self._teacher = _Tap(teacher, teachers, "teacher")
        with torch.no_grad():
            probe = next(net.parameters()).new_zeros(1, net.config.colours, 16, 16)
            net(probe), teacher(probe)
        self.links = nn.ModuleList(
            nn.Conv2d(self._student.seen[mine].shape[1], self._teacher.seen[theirs].shape[1], 1)
            for mine, theirs in config.features.items()
        )

    def forward(self, lr: Tensor) -> Tensor:
        """The weighted sum of all distances, a scalar; after the student has run on the same ``lr``."""
        with torch.no_grad():
            self.teacher(lr)
        config, loss = self._config, lr.new_zeros(())
        for link, (mine, theirs) in zip(self.links, config.features.items(), strict=True):
            loss = loss + config.feature_weight * feature_distance(link(self._student[mine]), self._teacher[theirs])
        for mine, theirs in config.attention.items():
            loss = loss + config.attention_weight * attention_distance(self._student[mine], self._teacher[theirs])
        return loss


def feature_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of features [N, C, H, W], in units of the teacher's mean square.

    Example:
        >>> feature_distance(torch.zeros(1, 2, 4, 4), torch.full((1, 2, 4, 4), 3.0)).item()
        1.0
    """
    student, teacher = student.float(), _sized(teacher.float(), student)
    return F.mse_loss(student, teacher) / teacher.square().mean().clamp_min(_SMALL)


def attention_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of two attention maps of unit length, a mean over the pictures; 0..4 for any channels.

    Example:
        >>> features = torch.rand(2, 8, 4, 4)
        >>> attention_distance(features, 2 * features).item() < 1e-6
        True
    """
    mine, theirs = (_attention(x) for x in (student.float(), _sized(teacher.float(), student)))
    return (mine - theirs).square().sum(1).mean()


def _attention(features: Tensor) -> Tensor:
    return F.normalize(features.square().sum(1).flatten(1), dim=1)


def _sized(teacher: Tensor, student: Tensor) -> Tensor:
    if teacher.shape[-2:] == student.shape[-2:]:
        return teacher
    return F.interpolate(teacher, student.shape[-2:], mode="bilinear", antialias=True)


class _Tap:
    """Keeps what layers gave when their network ran last."""

    def __init__(self, net: Network, layers: Iterable[str], role: str) -> None:
        self.seen: dict[str, Tensor] = {}
        self._role = role
        modules = dict(net.named_modules())
        for layer in sorted(layers):
            if layer not in modules or not layer:
                names = ", ".join(name for name in modules if name and "." not in name)
                raise UsageError(f"teacher: the {role} has no layer {layer!r}; it has {names} and layers in them")
            modules[layer].register_forward_hook(self._keep(layer))

    def _keep(self, layer: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor) or output.ndim != 4:
                raise UsageError(f"teacher: {self._role} layer {layer!r} gives no picture of features")
            self.seen[layer] = output

        return hook

    def __getitem__(self, layer: str) -> Tensor:
        return self.seen[layer]
