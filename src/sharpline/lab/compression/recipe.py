"""Chains: what ``sharpline compress`` is told, typed and strict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sharpline.errors import UsageError
from sharpline.lab.compression.pruning import PruningConfig
from sharpline.lab.compression.quantization import QuantizationConfig
from sharpline.lab.compression.thinning import ThinningConfig
from sharpline.lab.networks.registry import parse
from sharpline.lab.training.recipe import CardText, Data, Recipe, Teacher
from sharpline.lab.training.recipe_file import changed
from sharpline.runtime.certificate.certify import FRAME
from sharpline.runtime.certificate.contract import Bytes, Contract, Decibels, Macs, Milliseconds
from sharpline.settings import blame, explain, line_of, mapping_of, text_of

AUTO = "auto"
Side = Annotated[int, Field(ge=16, le=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Step(_Strict):
    """What every step of a chain may say.

    Attributes:
        steps: of training in it, 0 for none.
        training: keys of a training recipe that are different in this step.
    """

    steps: int = Field(default=0, ge=0)
    training: dict[str, Any] = {}


class Prune(_Step):
    """Single weights become zero, at once or while the network learns on.

    Attributes:
        pruning: what goes; of its ``layers`` one may be called ``auto``: the share of all weights that is distributed
            over the layers by how much each of them minds.
    """

    kind: Literal["prune"]
    pruning: PruningConfig

    @model_validator(mode="after")
    def _alone(self) -> Self:
        if AUTO in self.pruning.layers and (len(self.pruning.layers) > 1 or self.pruning.criterion != "level"):
            raise ValueError("pruning.layers: 'auto' stands alone, with the criterion 'level'")
        return self


class Budget(_Strict):
    """What a thinned network may need; the layers that give channels away are searched for.

    Attributes:
        max_macs: multiply-accumulates for each LR pixel.
        max_bytes: of the exported file.
        max_ms: of a frame (``frame`` of the chain) on this machine, the median of five.
        multiple: channels that go together.
    """

    max_macs: Macs | None = None
    max_bytes: Bytes | None = None
    max_ms: Milliseconds | None = None
    multiple: int = Field(default=8, ge=1)

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.max_macs is None and self.max_bytes is None and self.max_ms is None:
            raise ValueError("a budget needs max_macs, max_bytes or max_ms")
        return self


class Thin(_Step):
    """Channels are removed, at once or while the network learns on.

    Attributes:
        thinning: how many of which layers; or
        budget: what is to be met, at once, at the least loss.
    """

    kind: Literal["thin"]
    thinning: ThinningConfig | None = None
    budget: Budget | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.thinning is None) == (self.budget is None):
            raise ValueError("give either thinning or budget")
        return self


class Distil(_Step):
    """The network learns from a teacher; every other step may have one too, under ``training``."""

    kind: Literal["distil"]
    steps: int = Field(ge=1)
    teacher: Teacher


class Quantize(_Step):
    """Integers take the place of floats: after training (``steps: 0``), or learning on (QAT).

    Attributes:
        calibration: folder of HR pictures to calibrate with, below the data folder; None takes the training pictures.
        bits: ``auto``: the layers that mind least get bits of the ``candidates`` for their weights, so that the network
            loses at most the ``tolerance`` against 8 bits everywhere, before training; the first and the last layer
            keep 8.
        candidates: bits that ``auto`` may give.
        tolerance: of ``auto``: dB on pieces of the validation pictures.
    """

    kind: Literal["quantize"]
    quantization: QuantizationConfig = QuantizationConfig()
    calibration: str | None = None
    bits: Literal["auto"] | None = None
    candidates: list[Literal[4, 2, 1]] | None = Field(default=None, min_length=1)
    tolerance: Decibels | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_chooses(self) -> Self:
        if any((given is None) != (self.bits is None) for given in (self.candidates, self.tolerance)):
            raise ValueError("'bits: auto' takes 'candidates', such as [4, 2], and a 'tolerance', such as 0.1dB")
        if self.bits is not None and (self.quantization.weights != 8 or self.quantization.layers):
            raise ValueError("'bits: auto' chooses the weights' bits: leave quantization.weights and layers out")
        return self


ChainStep = Annotated[Prune | Thin | Distil | Quantize, Field(discriminator="kind")]


class Chain(_Strict):
    """A network, the steps that make it light, and the contract that the result has to keep.

    Attributes:
        name: of the result.
        model: checkpoint that it starts from; or a ``network`` block of a training recipe, with random weights: what a
            chain does to sizes and times can be seen before a training.
        data: of every training in the chain; its ``valid`` measures each step.
        sets: folders of HR pictures, below the data folder, that the certificate names; never those of ``data``.
        frame: width and height of the LR frame that times and memory are measured with.
        training: keys of a training recipe, for every step that trains.
        chain: the steps, in order.
        contract: limits; a result that breaks one is not shipped.
        card: words for the result's card.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    model: str | dict[str, Any]
    data: Data
    sets: dict[str, str] = Field(min_length=1)
    frame: tuple[Side, Side] = FRAME
    training: dict[str, Any] = {}
    chain: list[ChainStep] = Field(min_length=1)
    contract: Contract = Contract()
    card: CardText

    @model_validator(mode="after")
    def _measured_on_others(self) -> Self:
        learned = {self.data.train} if isinstance(self.data.train, str) else set(self.data.train)
        if shared := (learned | {self.data.valid}) & set(self.sets.values()):
            raise ValueError(f"sets: {min(shared)} is a folder that the chain learns from or chooses by")
        kinds = [step.kind for step in self.chain]
        if "quantize" in kinds[:-1]:
            raise ValueError("chain: nothing can be done after 'quantize': make it the last step")
        return self

    def recipe(
        self, step: ChainStep, network: dict[str, Any], init: Path | None, more: Mapping[str, Any] | None = None
    ) -> Recipe:
        """The training of a step.

        Args:
            step: the step.
            network: configuration of the network that learns.
            init: checkpoint of its weights.
            more: other keys of the recipe.

        Raises:
            UsageError: a key under ``training`` that no recipe has, or a value that cannot be.
        """
        own = {"teacher": step.teacher.model_dump()} if isinstance(step, Distil) else {}
        settings = {**self.training, **own, **step.training}
        try:
            return Recipe(
                **{
                    **settings,
                    "name": self.name,
                    "network": network,
                    "data": self.data,
                    "init": None if init is None else str(init),
                    "steps": max(1, step.steps),
                    "card": self.card,
                    **(more or {}),
                }
            )
        except ValidationError as error:
            raise UsageError(f"training: {explain(error, Recipe)}") from None


def load_chain(path: Path, changes: list[str] | None = None) -> Chain:
    """Read a chain.

    Args:
        path: YAML file.
        changes: ``key=value`` pairs that replace values, dots for nesting (``contract.max_drop=0.1dB``).

    Raises:
        UsageError: no such file, not YAML, an unknown key (with the nearest name), a wrong type or value.
    """
    text = text_of(path)
    content = mapping_of(path, text)
    for change in changes or []:
        changed(content, change)
    try:
        chain = Chain.model_validate(content)
    except ValidationError as error:
        place, words = blame(error, Chain)
        raise UsageError(f"{path}{line_of(text, place)}: {words}") from None
    if isinstance(chain.model, dict):
        try:
            parse(chain.model)
        except UsageError as error:
            raise UsageError(f"{path}{line_of(text, ('model',))}: {error}") from None
    return chain
