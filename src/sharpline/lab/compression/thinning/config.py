"""What thinning needs to be told."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sharpline.lab.compression.schedule import Schedule


class ThinningConfig(BaseModel):
    """Removal of whole channels.

    Attributes:
        criterion: which channels go first: ``l1``: those whose filters are small (Li et al., "Pruning Filters for
            Efficient ConvNets", ICLR 2017); ``taylor``: those whose absence the loss would feel least, to first
            order (Molchanov et al., "Importance Estimation for Neural Network Pruning", CVPR 2019, equation 8),
            which needs pictures; ``geometric-median``: those whose filters are nearest to all others of the layer,
            so that these can take their place (He et al., FPGM, CVPR 2019).
        layers: pattern of layer names -> share of their channels to be removed; the first match decides, layers that
            match none keep all. Layers that share channels lose as much as the one that loses least.
        multiple: what remains is rounded to a multiple of so many channels, since runtimes pay in such steps.
        schedule: when, and in how many turns: channels are held at zero until the end and removed there.

    Example:
        >>> ThinningConfig(layers={"*": 0.5}, multiple=8).criterion
        'l1'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    criterion: Literal["l1", "taylor", "geometric-median"] = "l1"
    layers: dict[str, float] = Field(min_length=1)
    multiple: int = Field(default=1, ge=1)
    schedule: Schedule = Schedule()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for pattern, share in self.layers.items():
            if not 0 <= share < 1:
                raise ValueError(f"layers.{pattern}: a share of {share} is not in 0 <= share < 1")
        return self
