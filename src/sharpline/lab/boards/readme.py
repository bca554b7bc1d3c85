"""The README of a board's folder: what is in it, the exact commands, what was checked and what was not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePath

from sharpline.lab.boards.made import Made, SourceModel
from sharpline.lab.boards.parity import Parity
from sharpline.runtime.boards.profile import Board

Compared = tuple[Made, Parity | None]

NOT_RUN = (
    "**Not run on the device.** None was at hand: what is said here was checked on the machine that wrote this folder."
)


def readme(
    model: SourceModel,
    board: Board,
    files: Sequence[Compared],
    trials: Sequence[Compared],
    left_out: dict[str, str],
) -> str:
    """The page.

    Args:
        model: what was exported.
        board: the board.
        files: the model files with how near each is to its source.
        trials: files that were run once more in another arithmetic.
        left_out: formats of the board that this model has no file in, with the reason.
    """
    card = model.card
    colour = "RGB pictures" if card.colour == "rgb" else "grey pictures (luma)"
    parts = [
        f"# {card.name} for {board.title}",
        f"Enlarges {colour} {card.scale} times. Licence of the weights: {card.licence}.",
        "Run on machines of this kind." if board.at_hand else NOT_RUN,
        _contents(model, files, left_out),
        "## Copy it\n\nCopy this whole folder to the board, then check that it arrived:\n\n"
        + _shell(["sha256sum -c SHA256SUMS"]),
        _commands(board, files),
        _checked([*files, *trials]),
        _facts(board),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _contents(model: SourceModel, files: Sequence[Compared], left_out: dict[str, str]) -> str:
    rows = []
    for made, _ in files:
        shape = "pictures of any size" if made.size is None else f"tiles of {made.size[0]} x {made.size[1]}"
        names = ", ".join(f"`{name}`" for name in (made.file, *made.also))
        rows.append(f"| {names} | {made.format}, {made.precision.upper()}, {shape} |")
    rows += ["| `run.py` | upscales a file, a folder or the camera's picture |", "| `card.json` | what the model is |"]
    if model.certificate is not None:
        rows.append("| `certificate.json` | what its compression cost, measured |")
    lines = ["## What is here", "", "| file | |", "|---|---|", *rows, "| `SHA256SUMS` | of all of them |"]
    if model.certificate is None:
        lines += ["", f"No certificate: none lies beside {PurePath(model.source).name}."]
    lines += [line for format, reason in left_out.items() for line in ("", f"No {format} file: {reason}.")]
    lines += [line for made, _ in files for note in made.notes for line in ("", f"`{made.file}`: {note}")]
    return "\n".join(lines)


def _commands(board: Board, files: Sequence[Compared]) -> str:
    parts = []
    if board.install:
        parts.append("## Install, once, on the board\n\n" + _shell(board.install))
    build = [line for made, _ in files for line in filled(board.build.get(made.format, []), made)]
    if build:
        where = "on the board" if board.build_on == "board" else "on an x86-64 PC with Debian or Ubuntu"
        parts.append(f"## Build, once, {where}\n\n" + _shell(list(dict.fromkeys(build))))
    if board.run:
        parts.append("## Run\n\n" + _shell(board.run))
    if board.camera:
        parts.append("## See whether the camera works\n\n" + _shell([board.camera]))
    first = files[0][0]
    parts += [f"- {note}" for note in filled(board.notes, first)][:1]
    rest = [f"- {note}" for note in filled(board.notes, first)][1:]
    return "\n\n".join(parts) + "".join(f"\n{line}" for line in rest)


def filled(lines: Sequence[str], made: Made) -> list[str]:
    """Lines of a profile with the file's names and sizes put in."""
    width, height = made.size or ("", "")
    words = {"{file}": made.file, "{stem}": PurePath(made.file).stem, "{width}": str(width), "{height}": str(height)}
    result = []
    for line in lines:
        for word, value in words.items():
            line = line.replace(word, value)
        result.append(line)
    return result


def _shell(lines: Sequence[str]) -> str:
    return "\n".join(["```sh", *lines, "```"])


def _checked(files: Sequence[Compared]) -> str:
    rows = [_row(made, parity) for made, parity in files]
    head = "| file | run in | PSNR to its source | equal values | largest difference | mean shift of a colour | seam |"
    intro = (
        "Real pictures went through each file and through the model that it was made from; the worst of them, in "
        "levels of 255. Tiles were compared too: `seam` is how much more values beside a tile's border differ. The "
        "operators of ONNX and TFLite files were checked against the board's profile (`sharpline check`)."
    )
    return "\n".join(["## What was checked", "", intro, "", head, "|---|---|---|---|---|---|---|", *rows])


def _row(made: Made, p: Parity | None) -> str:
    if p is None:
        return f"| `{made.file}` | not run here | | | | | |"
    equal = math.floor(p.equal * 10_000) / 10_000  # 100 % are all of them
    figures = f"{nearness(p)} | {equal:.2%} | {p.largest} | {p.shift:+.3f} | {p.seam:.3f}"
    return f"| `{made.file}` | {made.engine} | {figures} |"


def nearness(parity: Parity) -> str:
    """PSNR to the source in words."""
    if parity.largest == 0:
        return "equal"
    return "above 99 dB" if parity.psnr >= 99 else f"{parity.psnr:.1f} dB"


def _facts(board: Board) -> str:
    precisions = ", ".join(p.upper() for p in board.precisions.fast)
    lines = [
        "## The board",
        "",
        f"- Computes with: {board.accelerator}",
        f"- Software: {', '.join(f'{r.name} {r.version}' for r in board.runtimes)}",
        f"- Fast arithmetic: {precisions}",
        *(f"- No {name.upper()}: {reason}" for name, reason in board.precisions.refused.items()),
    ]
    if board.python:
        lines.append(f"- Python {board.python}")
    return "\n".join(lines)
