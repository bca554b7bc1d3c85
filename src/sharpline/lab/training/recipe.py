"""Recipes: everything that a training needs to be told, typed and strict."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sharpline.lab.compression.pruning.config import PruningConfig
from sharpline.lab.compression.thinning.config import ThinningConfig


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Strict):
    """Where pictures come from. Paths are relative to the data folder (SHARPLINE_DATA).

    Attributes:
        train: folder of HR pictures, or several.
        lr: folder of their LR pictures, one for each of ``train``, paired by stem; by default LR is made.
        valid: folder of HR pictures that choose the best checkpoint.
        patch: side of an LR patch in pixels.
        margin: LR pixels along a patch's border that the network sees but the loss does not, since the zeros around
            a patch are not what a picture has there.
        batch: patches in a step, over all processes together.
        candidates: places drawn for each patch, of which the one with the most detail is taken; 1 takes
            every place with equal odds. Flat patches teach little: 8 is worth 0.1 dB after 1,500 steps
            (docs/experiments.md).
        scales: scales that one network learns together (VDSR), empty for the network's own.
        degradation: recipe of how LR is made (YAML; relative to where training is started), by default
            MATLAB's bicubic. Training and validation pictures are made alike.
    """

    train: str | list[str]
    lr: str | list[str] | None = None
    valid: str
    patch: int = Field(default=48, ge=4)
    margin: int = Field(default=0, ge=0)
    batch: int = Field(default=16, ge=1)
    candidates: int = Field(default=1, ge=1, le=64)
    scales: list[int] = []
    degradation: str | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.lr is not None and (self.scales or self.degradation):
            raise ValueError("LR pictures that are given ('lr') have one scale and need no degradation")
        if 2 * self.margin >= self.patch:
            raise ValueError(f"a margin of {self.margin} leaves nothing of a patch of {self.patch}")
        return self


class Teacher(_Strict):
    """A network that is learnt from beside the real pictures (distillation).

    Attributes:
        checkpoint: its file.
        weight: share of the loss that is against the teacher's pictures, which are made once for each training
            picture, and kept.
        features: layer of the student -> layer of the teacher whose features it is to foretell.
        feature_weight: of that distance, beside the loss.
        attention: layer of the student -> layer of the teacher that looks at the same places.
        attention_weight: of that distance. With features or attention the teacher runs in every step.
    """

    checkpoint: str
    weight: float = Field(default=0.5, ge=0, le=1)
    features: dict[str, str] = {}
    feature_weight: float = Field(default=0.1, gt=0)
    attention: dict[str, str] = {}
    attention_weight: float = Field(default=0.1, gt=0)

    @model_validator(mode="after")
    def _teaches(self) -> Self:
        if not (self.weight or self.features or self.attention):
            raise ValueError("a teacher of weight 0 without features or attention teaches nothing")
        return self


class Optimiser(_Strict):
    """Adam, SGD with momentum 0.9, or Muon for the kernels with Adam for the rest.

    Attributes:
        rate: learning rate of Adam or SGD.
        muon_rate: Muon's learning rate.
        weight_decay: of Adam or SGD, added to the gradient.
    """

    kind: Literal["adam", "sgd", "muon"] = "muon"
    rate: float = Field(default=2e-3, gt=0)
    muon_rate: float = Field(default=0.02, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)


class Schedule(_Strict):
    """Learning-rate factor over the steps, after a linear warm-up.

    Attributes:
        kind: ``cosine`` to 0 at the last step, ``step`` (times ``factor`` every ``every`` steps) or
            ``multistep`` (times ``factor`` at each of ``milestones``).
        warmup: steps of warm-up.
        hold: cosine: share of all steps before it begins; 0 is the plain cosine schedule.
        every: step: its period in steps.
        milestones: multistep: the steps, rising.
        factor: of step and multistep.
    """

    kind: Literal["cosine", "step", "multistep"] = "cosine"
    warmup: int = Field(default=100, ge=0)
    hold: float = Field(default=0.0, ge=0, lt=1)
    every: int = Field(default=0, ge=0)
    milestones: list[int] = []
    factor: float = Field(default=0.5, gt=0, le=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.kind == "step") != (self.every > 0):
            raise ValueError("'every' (steps) belongs to kind 'step', which needs it")
        if (self.kind == "multistep") != bool(self.milestones):
            raise ValueError("'milestones' belong to kind 'multistep', which needs them")
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError("milestones have to rise")
        return self


class Clip(_Strict):
    """Gradient clipping.

    Attributes:
        kind: ``norm``: the norm of all gradients together is at most ``limit``; ``adjustable``: each
            gradient is cut to +-limit / learning rate (Kim et al., VDSR, CVPR 2016, section 3.2).
        limit: in the units of the kind.
    """

    kind: Literal["norm", "adjustable"] = "norm"
    limit: float = Field(gt=0)


class CardText(_Strict):
    """What the model card says that training cannot know."""

    version: str
    description: str
    licence: str
    training_data: str


class Recipe(_Strict):
    """One training, whole. Unknown keys are refused.

    Attributes:
        network: block for :func:`sharpline.lab.networks.build`.
        init: a checkpoint to start from, every tensor of equal name and shape is taken.
        loss: ``l1``, ``mse`` or ``charbonnier`` on RGB (Y networks: on Y), at every level of a progressive network.
        luma_weight: weight of the same loss on luma (BT.601), 0 for none.
        ema: decay of the weights' running mean, which is what is validated and kept.
        precision: ``auto`` takes bf16 where the machine multiplies it natively, else fp32.
        pruning: weights that become zero on the way; the network has to be a plain one.
        thinning: channels that are removed on the way; likewise.
        save_minutes: how much work a crash may cost.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    network: dict[str, Any]
    data: Data
    steps: int = Field(ge=1)
    init: str | None = None
    teacher: Teacher | None = None
    loss: Literal["l1", "mse", "charbonnier"] = "l1"
    luma_weight: float = Field(default=0.0, ge=0)
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    clip: Clip | None = None
    pruning: PruningConfig | None = None
    thinning: ThinningConfig | None = None
    ema: float = Field(default=0.999, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    validate_every: int = Field(default=1000, ge=1)
    save_minutes: float = Field(default=3.0, gt=0)
    seed: int = 0
    card: CardText

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.teacher is not None and self.data.scales:
            raise ValueError("a teacher has one scale: leave data.scales out")
        if self.pruning is not None and self.thinning is not None:
            raise ValueError("pruning and thinning are two trainings, one after the other")
        return self
