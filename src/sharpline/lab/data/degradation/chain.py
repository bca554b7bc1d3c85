"""Steps made of steps, and the union of all kinds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from sharpline.lab.data.degradation.blur import AnisotropicBlur, Defocus, GaussianBlur, GivenBlur, MotionBlur, Sinc
from sharpline.lab.data.degradation.draw import BaseStep, Draw
from sharpline.lab.data.degradation.jpeg import Jpeg
from sharpline.lab.data.degradation.noise import GaussianNoise, PoissonNoise, ReadNoise
from sharpline.lab.data.degradation.resize import Downsample, Resize
from sharpline.pixels.picture import Array


class Chain(BaseStep):
    """Steps one after another, as one step: what a ``one-of`` chooses, or a ``probability`` is for."""

    kind: Literal["chain"] = "chain"
    steps: tuple[Step, ...]

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Apply them."""
        return apply_steps(self.steps, picture, draw)


class OneOf(BaseStep):
    """One step of several, drawn for each picture.

    Attributes:
        choices: the steps.
        weights: how likely each is, in any unit; by default all the same.
    """

    kind: Literal["one-of"] = "one-of"
    choices: tuple[Step, ...] = Field(min_length=1)
    weights: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _one_weight_each(self) -> Self:
        if self.weights is not None:
            if len(self.weights) != len(self.choices):
                raise ValueError(f"{len(self.weights)} weights for {len(self.choices)} choices")
            if min(self.weights) < 0 or not 0 < sum(self.weights) < float("inf"):
                raise ValueError("weights are 0 or more, and not all 0")
        return self

    def apply(self, picture: Array, draw: Draw) -> Array:
        """Choose and apply."""
        odds = None if self.weights is None else np.array(self.weights) / sum(self.weights)
        chosen = int(draw.random.choice(len(self.choices), p=odds))
        return apply_steps(self.choices[chosen : chosen + 1], picture, draw)


Step = Annotated[
    GaussianBlur
    | AnisotropicBlur
    | Defocus
    | MotionBlur
    | Sinc
    | GivenBlur
    | Downsample
    | Resize
    | GaussianNoise
    | PoissonNoise
    | ReadNoise
    | Jpeg
    | Chain
    | OneOf,
    Field(discriminator="kind"),
]
Chain.model_rebuild()
OneOf.model_rebuild()


def apply_steps(steps: Sequence[BaseStep], picture: Array, draw: Draw) -> Array:
    """Apply steps in order, each with its probability, the result clipped to [0, 1] after each.

    Args:
        steps: what to apply.
        picture: float32 H x W x C in [0, 1].
        draw: where their numbers come from; what was applied is added to its record.
    """
    for step in steps:
        if not draw.happens(step.probability):
            continue
        if not isinstance(step, Chain | OneOf):
            draw.begin(step.kind)
        picture = np.clip(step.apply(picture, draw), 0, 1, dtype=np.float32)
    return picture


def every(steps: Sequence[BaseStep]) -> Iterator[BaseStep]:
    """All steps, those inside others too."""
    for step in steps:
        yield step
        if isinstance(step, Chain | OneOf):
            yield from every(step.steps if isinstance(step, Chain) else step.choices)
