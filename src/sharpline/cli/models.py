"""``sharpline models``: list what can be asked for by name."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from sharpline.cli.output import print_json, results
from sharpline.runtime.catalog import list_models, precisions_of

EXAMPLE = "Example: sharpline models --json"


def models(
    json: Annotated[bool, typer.Option("--json", help="Print the cards for machines.")] = False,
) -> None:
    """List the models that come with Sharpline."""
    cards = list_models()
    if json:
        print_json([card.model_dump() for card in cards])
        return
    table = Table(box=None, header_style="bold")
    for column in ("name", "scale", "colour", "precision", "weights", "MACs/pixel", "Set5 dB", "BSD100"):
        words = column in ("name", "colour", "precision")
        table.add_column(column, justify="left" if words else "right", no_wrap=True)
    table.columns[0].min_width = max(len(card.name) for card in cards)
    for card in cards:
        scores = [card.quality[name].psnr_y if name in card.quality else None for name in ("Set5", "BSD100")]
        table.add_row(
            card.name,
            f"x{card.scale}" if card.name not in ("bicubic", "lanczos") else "any",
            card.colour,
            " ".join(precisions_of(card.name)),
            f"{card.parameters:,}",
            f"{card.macs_per_lr_pixel:,}",
            *("" if score is None else f"{score:.2f}" for score in scores),
        )
    results.print(table)
