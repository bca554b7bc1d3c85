"""``sharpline export``: from a checkpoint to a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sharpline.cli.output import screen
from sharpline.cli.wing import need_lab
from sharpline.errors import UsageError

EXAMPLE = "Example: sharpline export runs/edge-m-x4/best.safetensors -o edge-m-x4.onnx"


def export(
    checkpoint: Annotated[Path, typer.Argument(help="best.safetensors of a run.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model file (.onnx).", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Name on the card; default: the recipe's.")] = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="Enlargement, for networks that serve several; default: the checkpoint's.")
    ] = None,
    measure: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of HR pictures whose scores go on the card (repeatable)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Write a trained network as an ONNX file with its card, checked against the checkpoint."""
    need_lab("export")
    from sharpline.lab.boards.onnx_file import export_onnx, write_model

    if output.exists() and not overwrite:
        raise UsageError(f"{output}: exists already; --overwrite replaces it")
    model, card = export_onnx(checkpoint, name=name, scale=scale, measure=measure or [])
    write_model(model, output)
    scores = "".join(f"; {name} {score.psnr_y:.2f} dB" for name, score in card.quality.items())
    screen.print(f"{output}: {card.name}, x{card.scale}, {card.macs_per_lr_pixel:,} MACs per LR pixel{scores}")
