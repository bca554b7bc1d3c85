"""``sharpline info``: the card of a model."""

from __future__ import annotations

from typing import Annotated

import typer

from sharpline.cli.output import print_json, results
from sharpline.runtime.catalog import card_of

EXAMPLE = "Example: sharpline info edge-m-x4"


def info(
    model: Annotated[str, typer.Argument(help="Name or .onnx file.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the card for machines.")] = False,
) -> None:
    """Show a model's card: what it is, what it was trained on, what it was measured at."""
    card = card_of(model)
    if json:
        print_json(card.model_dump())
        return
    for key, value in card.model_dump(exclude={"quality"}).items():
        results.print(f"{key.replace('_', ' '):<20} {value}", markup=False)
    for name, score in card.quality.items():
        results.print(f"{name:<20} {score.psnr_y:.2f} dB / {score.ssim_y:.4f}", markup=False)
