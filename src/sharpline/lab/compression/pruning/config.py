"""What pruning needs to be told."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sharpline.lab.compression.schedule import Schedule

Criterion = Literal["level", "threshold", "sensitivity", "random"]


class PruningConfig(BaseModel):
    """Unstructured pruning of kernels (not of biases).

    Attributes:
        criterion: which weights go: ``level``: the smallest of a layer, to a share of them; ``threshold``: those of
            a magnitude below the amount; ``sensitivity``: those below the amount times the standard deviation of
            the layer's weights (Han et al., "Learning both Weights and Connections", NeurIPS 2015, section 3.1);
            ``random``: a share of the layer, drawn.
        layers: pattern of layer names -> amount, in the units of the criterion; the first match decides, layers
            that match none are left alone.
        schedule: when, and in how many turns.
        seed: of ``random``.

    Example:
        >>> PruningConfig(layers={"head": 0, "body.*": 0.8}, schedule={"kind": "agp", "end": 1000}).criterion
        'level'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    criterion: Criterion = "level"
    layers: dict[str, float] = Field(min_length=1)
    schedule: Schedule = Schedule()
    seed: int = 0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        shares = self.criterion in ("level", "random")
        for pattern, amount in self.layers.items():
            if shares and not 0 <= amount < 1:
                raise ValueError(f"layers.{pattern}: a sparsity of {amount} is not in 0 <= sparsity < 1")
            if not 0 <= amount < math.inf:
                raise ValueError(f"layers.{pattern}: {amount} has to be 0 or more")
        return self
