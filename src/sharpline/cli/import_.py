"""``sharpline import``: from weights made elsewhere to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sharpline.cli.output import say
from sharpline.cli.wing import need_lab
from sharpline.errors import UsageError

EXAMPLE = "Example: sharpline import RealESRGAN_x4plus.pth -o realesrgan-x4.safetensors --licence BSD-3-Clause"


def import_(
    file: Annotated[Path, typer.Argument(help="Weights: .mat, .pth or .safetensors.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Checkpoint (.safetensors).", show_default=False)],
    arch: Annotated[str, typer.Option(help="vdsr, imdn, rlfn, rrdb or compact; auto: told by the keys.")] = "auto",
    scale: Annotated[int | None, typer.Option(min=1, help="The scale that is wanted; default: the file's.")] = None,
    name: Annotated[str | None, typer.Option(help="Name on the card; default: the file's.")] = None,
    licence: Annotated[str, typer.Option(help="Terms of the weights, for the card.")] = "unknown",
    training_data: Annotated[str, typer.Option(help="What they learned from, for the card.")] = "unknown",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    """Turn weights made elsewhere into a checkpoint. Nothing in the file is executed."""
    need_lab("import")
    from sharpline.lab.importing import import_file

    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: checkpoints are .safetensors files; 'sharpline export' makes an .onnx file of one")
    if not output.absolute().parent.is_dir():
        raise UsageError(f"{output}: its folder does not exist; make it first")
    if output.exists() and not overwrite:
        raise UsageError(f"{output}: exists already; --overwrite replaces it")
    done = import_file(file, output, arch=arch, scale=scale, name=name, licence=licence, training_data=training_data)
    config = done.net.config
    count = done.net.parameter_count()
    say(f"{output}: {config.family}, x{config.scale}, {config.colour}, {count:,} parameters ({done.form})")
