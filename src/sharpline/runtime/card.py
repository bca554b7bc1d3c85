"""The model card: what a model file says about itself, carried inside the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import onnx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sharpline.errors import ModelError

CARD_KEY = "sharpline"  # the key in ONNX metadata_props


class Quality(BaseModel):
    """Scores of a model on one data set, by the protocol of ``sharpline.pixels.metrics``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    psnr_y: float = Field(gt=0, lt=200, allow_inf_nan=False)
    ssim_y: float = Field(ge=-1, le=1, allow_inf_nan=False)


class ModelCard(BaseModel):
    """What one needs to know to run a model, to trust it and to ship it.

    Args:
        name: Name of the model, for example ``edge-m-x4``.
        version: Version of the weights.
        scale: Output pixels per input pixel along each side, 1..16.
        colour: ``rgb`` (three channels) or ``y`` (one: luma or grey).
        receptive_field: Radius in LR pixels that an output pixel depends on; the halo of a tile. Where the network
            sees farther than any tile, the halo that was chosen.
        tile_multiple: Inputs need a height and a width that are multiples of this.
        tile_error: Largest difference, in levels of 255, that tiles made on a test photograph; None where tiles are
            exact.
        precision: Arithmetic of the convolutions.
        training_data: Where the training pictures came from.
        licence: Under which terms the weights may be used.
        quality: Scores by data set name.
        parameters: Number of weights; 0 where it is not known.
        macs_per_lr_pixel: Multiply-accumulates for each input pixel; 0 where they are not known.
        description: One line for people.

    Example:
        >>> ModelCard(name="demo-x2", scale=2, colour="rgb", receptive_field=5).channels
        3
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100, pattern=r"^\S+$")
    version: str = "unknown"
    scale: int = Field(ge=1, le=16)
    colour: Literal["rgb", "y"]
    receptive_field: int = Field(ge=0, le=4096)
    tile_multiple: int = Field(default=1, ge=1, le=256)
    tile_error: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    precision: Literal["fp32", "int8"] = "fp32"
    training_data: str = "unknown"
    licence: str = "unknown"
    quality: dict[str, Quality] = {}
    parameters: int = Field(default=0, ge=0)
    macs_per_lr_pixel: int = Field(default=0, ge=0)
    description: str = ""

    @property
    def channels(self) -> int:
        """Channels of the network's input and output: 3 for rgb, 1 for y."""
        return 3 if self.colour == "rgb" else 1


def _explain(error: ValidationError) -> str:
    problems = [f"{'.'.join(map(str, e['loc'])) or 'card'}: {e['msg'].lower()}" for e in error.errors()]
    return "; ".join(problems[:4]).replace("\n", " ")


def _embedded_fields(model: onnx.ModelProto, source: str) -> dict[str, Any] | None:
    texts = [entry.value for entry in model.metadata_props if entry.key == CARD_KEY]
    if not texts:
        return None
    try:
        fields = json.loads(texts[0])
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{source}: the model card is not JSON ({error}); export the model again") from error
    if len(texts) > 1 or not isinstance(fields, dict):
        raise ModelError(f"{source}: the model card is not one JSON object; export the model again")
    return fields


def read_card(
    model: onnx.ModelProto, *, given: ModelCard | Mapping[str, Any] | None = None, source: str = "model"
) -> ModelCard:
    """Reads and checks the card of a model.

    Args:
        model: The ONNX model.
        given: A card or card fields from the user; they complete or override the file's own.
        source: Name of the file for error messages.

    Returns:
        The card.

    Raises:
        ModelError: There is no card and none was given, or a field is missing, unknown or out of range.

    Example:
        >>> read_card(onnx.ModelProto(), given={"name": "m", "scale": 4, "colour": "y", "receptive_field": 3}).scale
        4
    """
    fields = _embedded_fields(model, source)
    if fields is None and given is None:
        needed = [name for name, field in ModelCard.model_fields.items() if field.is_required()]
        raise ModelError(
            f"{source}: no model card in the file; give at least {', '.join(needed)} (Upscaler(..., card={{...}}))"
        )
    if isinstance(given, ModelCard):
        given = given.model_dump(exclude_unset=True)
    try:
        return ModelCard.model_validate({**(fields or {}), **(given or {})})
    except ValidationError as error:
        raise ModelError(f"{source}: the model card cannot be used: {_explain(error)}") from error


def embed_card(model: onnx.ModelProto, card: ModelCard) -> onnx.ModelProto:
    """Writes the card into the model's metadata, replacing an earlier one.

    Args:
        model: The ONNX model; changed in place.
        card: The card.

    Returns:
        The same model.

    Example:
        >>> card = ModelCard(name="m", scale=4, colour="y", receptive_field=3)
        >>> read_card(embed_card(onnx.ModelProto(), card)) == card
        True
    """
    kept = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != CARD_KEY]
    del model.metadata_props[:]
    for key, value in [*kept, (CARD_KEY, card.model_dump_json())]:
        model.metadata_props.add(key=key, value=value)
    return model
