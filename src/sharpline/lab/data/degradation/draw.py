"""What a step draws its numbers from: a generator for each picture, and a record of what was drawn."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sharpline.pixels.picture import Array

Size = tuple[int, int]
"""Height and width in pixels."""


def _as_range(value: Any) -> tuple[float, float]:
    try:
        low, high = value if isinstance(value, list | tuple) else (value, value)
        low, high = float(low), float(high)
    except (TypeError, ValueError):
        raise ValueError("give a number or [low, high]") from None
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError("give finite numbers, the lower one first")
    return low, high


Range = Annotated[tuple[float, float], BeforeValidator(_as_range)]
"""A number, or [low, high] from which each picture draws its own."""


def within(lowest: float, highest: float) -> Callable[[tuple[float, float]], tuple[float, float]]:
    """A validator: both ends of a range lie between two limits."""

    def check(value: tuple[float, float]) -> tuple[float, float]:
        if value[0] < lowest or value[1] > highest:
            raise ValueError(f"must lie between {lowest:g} and {highest:g}")
        return value

    return check


class Draw:
    """The making of one LR picture.

    Args:
        seed: of the whole set, 0 or more.
        name: of the picture. Its generator depends on the seed and this name alone, so that the order in which
            pictures are made, and in how many threads, changes nothing.
        hr: size of the HR picture.
        lr: size that the LR picture has to have.

    Attributes:
        random: the picture's generator.
        drawn: one dictionary a step that was applied: its kind, and every number it used.

    Example:
        >>> draw = Draw(0, "baby.png", (8, 8), (2, 2))
        >>> draw.begin("gaussian-blur")
        >>> draw.number("sigma", (1.5, 1.5))
        1.5
        >>> draw.drawn
        [{'kind': 'gaussian-blur', 'sigma': 1.5}]
    """

    def __init__(self, seed: int, name: str, hr: Size, lr: Size) -> None:
        mixed = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:16], "little")
        self.random = np.random.default_rng([seed, mixed])
        self.hr, self.lr = hr, lr
        self.drawn: list[dict[str, float | str]] = []

    def begin(self, kind: str) -> None:
        """Start the record of a step."""
        self.drawn.append({"kind": kind})

    def note(self, key: str, value: float | str) -> None:
        """Write a value that was not drawn into the record."""
        self.drawn[-1][key] = value

    def number(self, key: str, between: tuple[float, float]) -> float:
        """A real number from a range, even odds."""
        value = float(self.random.uniform(*between))
        self.note(key, round(value, 4))
        return value

    def whole(self, key: str, between: tuple[float, float]) -> int:
        """A whole number from a range, both ends included, even odds."""
        value = int(self.random.integers(math.ceil(between[0]), math.floor(between[1]), endpoint=True))
        self.note(key, value)
        return value

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.random.random() < probability)


class BaseStep(BaseModel, ABC):
    """What the configuration of every step has.

    Attributes:
        kind: which step it is.
        probability: share of the pictures that it is applied to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    probability: float = Field(default=1.0, ge=0, le=1)

    @abstractmethod
    def apply(self, picture: Array, draw: Draw) -> Array:
        """Degrade a float32 picture H x W x C in [0, 1]; what leaves [0, 1] is clipped by the caller."""
