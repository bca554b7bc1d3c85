"""When a network is made sparser, and by how much: at once, or automatically and gradually."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sharpline.errors import UsageError


class Schedule(BaseModel):
    """One-shot at ``begin``, or AGP from ``begin`` to ``end``.

    AGP raises an amount quickly while there is much to choose from, and slowly in the end:
    s_t = s_f + (s_i - s_f) (1 - (t - t_0) / (n dt))^3 (Zhu and Gupta, "To prune, or not to prune", 2017, equation 1).

    Attributes:
        begin: t_0; 0 is before the first step of training.
        end: t_0 + n dt, of AGP.
        every: dt, between two changes of AGP; the last one is at ``end`` in any case.
        initial: s_i, in the units of the amount.
        unit: of ``begin``, ``end`` and ``every``. An epoch is as many patches as there are training pictures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["one-shot", "agp"] = "one-shot"
    begin: int = Field(default=0, ge=0)
    end: int | None = None
    every: int = Field(default=100, ge=1)
    initial: float = Field(default=0.0, ge=0)
    unit: Literal["steps", "epochs"] = "steps"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind == "agp") != (self.end is not None):
            raise ValueError("'end' belongs to kind 'agp', which needs it")
        if self.end is not None and self.end <= self.begin:
            raise ValueError("'end' has to be after 'begin'")
        return self

    @property
    def last(self) -> int:
        """When the last change is made."""
        return self.begin if self.end is None else self.end

    def is_due(self, step: int) -> bool:
        """Whether a change is made after a step.

        Example:
            >>> agp = Schedule(kind="agp", begin=10, end=25, every=10)
            >>> [step for step in range(40) if agp.is_due(step)]
            [10, 20, 25]
        """
        if not self.begin <= step <= self.last:
            return False
        return step == self.last or (step - self.begin) % self.every == 0

    def amount(self, step: int, target: float) -> float:
        """The amount that is due at a step, 0 before the beginning.

        Example:
            >>> agp = Schedule(kind="agp", begin=0, end=100, initial=0.1)
            >>> [round(agp.amount(step, 0.9), 3) for step in (0, 50, 100, 200)]
            [0.1, 0.8, 0.9, 0.9]
        """
        if step < self.begin:
            return 0.0
        if self.end is None or step >= self.end:
            return target
        left = 1 - (step - self.begin) / (self.end - self.begin)
        return target + (min(self.initial, target) - target) * left**3

    def in_steps(self, steps: int, per_epoch: int) -> Schedule:
        """The same in steps.

        Args:
            steps: of the whole training.
            per_epoch: steps of an epoch.

        Raises:
            UsageError: training is over before the schedule is.
        """
        factor = per_epoch if self.unit == "epochs" else 1
        if self.last * factor > steps:
            raise UsageError(
                f"schedule: ends at step {self.last * factor}, training at {steps}: end it earlier, or train longer"
            )
        times = {name: getattr(self, name) * factor for name in ("begin", "every")}
        end = None if self.end is None else self.end * factor
        return self.model_copy(update={**times, "end": end, "unit": "steps"})
