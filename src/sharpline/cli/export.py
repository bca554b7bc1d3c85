"""``sharpline export``: from a checkpoint to a model file, or to a board's folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from sharpline.cli.output import print_json, say, screen
from sharpline.cli.wing import need_lab
from sharpline.errors import UsageError

EXAMPLE = "Example: sharpline export runs/edge-m-x4/best.safetensors --board jetson-nano"
_FILES = (".onnx", ".tflite", ".param", ".bin", ".so", ".safetensors")  # what a folder is not called


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="best.safetensors of a run; with --board also an embedded name or an .onnx file.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Model file (.onnx); with --board a folder, default NAME-BOARD."),
    ] = None,
    board: Annotated[
        str | None, typer.Option(help="Write the folder of a board; 'sharpline boards' lists them.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="LR pixels of files with one static shape; default: the board's.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name on the card; default: the recipe's.")] = None,
    scale: Annotated[
        int | None, typer.Option(min=1, help="Enlargement, for networks that serve several; default: the checkpoint's.")
    ] = None,
    measure: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of HR pictures whose scores go on the card (repeatable)."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file or board's folder.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was written for machines.")] = False,
) -> None:
    """Write a trained network as an ONNX file with its card, or as a board's folder, checked against the checkpoint."""
    need_lab("export")
    if board is not None:
        if measure:
            raise UsageError(
                "--measure: scores go on the card of a model file; export one first, then that for the board"
            )
        if output is not None and output.suffix.lower() in _FILES:
            raise UsageError(f"-o {output}: --board writes a folder; name it without {output.suffix}")
        _folder(model, board, output, name, scale, size, overwrite, json)
        return
    if size is not None:
        raise UsageError("--size: belongs to --board; a model file takes pictures of any size")
    if output is None:
        raise UsageError("no output: give -o FILE.onnx, or --board NAME for a board's folder")
    if output.suffix.lower() != ".onnx":
        raise UsageError(f"-o {output}: model files end with .onnx; --board NAME writes the folder of a board")
    if not _is_checkpoint(model) and not Path(model).is_dir():  # of a folder the lab knows more
        raise UsageError(
            f"{model}: a file is made of a checkpoint (.safetensors); of names and files give --board NAME"
        )
    _file(Path(model), output, name, scale, measure or [], overwrite, json)


def _file(
    checkpoint: Path,
    output: Path,
    name: str | None,
    scale: int | None,
    measure: list[Path],
    overwrite: bool,
    json: bool,
) -> None:
    from sharpline.lab.boards.onnx_file import export_onnx, write_model

    if output.exists() and not overwrite:
        raise UsageError(f"{output}: exists already; --overwrite replaces it")
    model, card = export_onnx(checkpoint, name=name, scale=scale, measure=measure)
    write_model(model, output)
    if json:
        print_json({"file": str(output), "card": card.model_dump()})
        return
    scores = "".join(f"; {name} {score.psnr_y:.2f} dB" for name, score in card.quality.items())
    say(f"{output}: {card.name}, x{card.scale}, {card.macs_per_lr_pixel:,} MACs per LR pixel{scores}")


def _folder(
    model: str,
    board: str,
    output: Path | None,
    name: str | None,
    scale: int | None,
    size: str | None,
    overwrite: bool,
    json: bool,
) -> None:
    from sharpline.lab.boards.folder import export_board
    from sharpline.lab.boards.readme import nearness
    from sharpline.lab.boards.source import open_source
    from sharpline.runtime.boards.named import precision_on
    from sharpline.runtime.boards.profile import load_board

    profile, sides = load_board(board), None if size is None else _sides(size)
    with screen.status("reading the model") as status:
        precision = "auto" if _is_checkpoint(model) else precision_on(profile, model)
        source = open_source(model, name=name, scale=scale, precision=precision)
        folder = output or Path(f"{source.card.name}-{board}")
        made = export_board(
            source, profile, folder, size=sides, overwrite=overwrite, tell=lambda what: status.update(what)
        )
    if json:
        print_json(made.to_dict())
        return
    for file, parity in [*made.files, *made.trials]:
        near = "not run here" if parity is None else f"to its source: {nearness(parity)} ({file.engine})"
        say(f"{folder / file.file}: {file.precision}, {near}")
    for format, reason in made.left_out.items():
        say(f"no {format}: {reason}")
    if not made.certified:
        say("no certificate: none lies beside the model")
    say(f"{folder}: README.md has the commands" + ("" if profile.at_hand else "; not run on the device"))


def _is_checkpoint(model: str) -> bool:
    return Path(model).suffix.lower() == ".safetensors"


def _sides(size: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", size.strip())
    if match is None or 0 in (int(match[1]), int(match[2])):
        raise UsageError(f"--size {size}: write WxH in pixels of the small picture, for example 480x270")
    return int(match[1]), int(match[2])
