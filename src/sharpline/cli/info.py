"""``sharpline info``: the card of a model."""

from __future__ import annotations

from typing import Annotated

import typer

from sharpline.cli.models_from import Precision, model_from
from sharpline.cli.output import print_json, results
from sharpline.runtime.catalog import card_of

EXAMPLE = "Example: sharpline info edge-m-x4"


def info(
    model: Annotated[str, typer.Argument(help="Name, .onnx file or checkpoint.", show_default=False)],
    precision: Annotated[
        Precision, typer.Option(help="Of an embedded network; auto: integers where it has them.")
    ] = Precision.auto,
    json: Annotated[bool, typer.Option("--json", help="Print the card for machines.")] = False,
) -> None:
    """Show a model's card: what it is, what it was trained on, what it was measured at."""
    card = card_of(model_from(model), precision.value)
    if json:
        print_json(card.model_dump())
        return
    facts = card.model_dump(exclude={"quality", "tile_error"})
    facts["tiles"] = "exact" if card.tile_error is None else f"differ by up to {card.tile_error:g} levels of 255"
    for key, value in facts.items():
        results.print(f"{key.replace('_', ' '):<20} {value}", markup=False)
    for name, score in card.quality.items():
        results.print(f"{name:<20} {score.psnr_y:.2f} dB / {score.ssim_y:.4f}", markup=False)
