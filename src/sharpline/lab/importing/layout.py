"""What a layout is: how the keys and shapes of somebody else's file become one of our networks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sharpline.errors import ModelError

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layout:
    """One way in which files of an architecture name their tensors.

    Attributes:
        arch: family of the network, as in the registry.
        form: whose layout it is, for people.
        marks: keys that only files of this layout have.
        configure: shapes of the file's tensors -> the ``network:`` block without ``family``.
        names: configuration -> for each of our layers, the file's name of it (both without ``.weight``).
        any_scale: one set of weights serves every scale, so that the shapes do not tell it.
    """

    arch: str
    form: str
    marks: tuple[str, ...]
    configure: Callable[[Shapes], dict[str, Any]]
    names: Callable[[Any], dict[str, str]]
    any_scale: bool = False

    def keys(self, config: Any, ours: list[str]) -> dict[str, str]:
        """For each of our tensors the file's key."""
        layers = self.names(config)
        split = {key: key.rpartition(".") for key in ours}
        return {key: f"{layers[layer]}.{leaf}" for key, (layer, _, leaf) in split.items()}


def kernel(shapes: Shapes, layer: str) -> tuple[int, int]:
    """Output and input channels of a convolution.

    Raises:
        ModelError: there is none of that name.
    """
    shape = shapes.get(f"{layer}.weight")
    if shape is None:
        raise ModelError(f"lacks {layer}.weight")
    if len(shape) != 4 or 0 in shape:
        raise ModelError(f"{layer}.weight is {' x '.join(map(str, shape))}, not a convolution's kernel")
    return shape[0], shape[1]


def count(shapes: Shapes, pattern: str) -> int:
    """One more than the largest number that the group of ``pattern`` takes at the beginning of a key; 0 for none."""
    found = (re.match(pattern, key) for key in shapes)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def colour_of(channels: int) -> str:
    """``y`` or ``rgb`` by the number of channels of a picture."""
    if channels not in (1, 3):
        raise ModelError(f"works on {channels} channels; only grey (1) and RGB (3) networks can be imported")
    return "y" if channels == 1 else "rgb"


def shuffled_scale(outputs: int, colours: int) -> int:
    """The scale of a pixel shuffle from ``outputs`` to ``colours`` channels."""
    scale = math.isqrt(outputs // colours)
    if scale**2 * colours != outputs:
        raise ModelError(f"its last layer makes {outputs} channels, which no pixel shuffle turns into {colours}")
    return scale
