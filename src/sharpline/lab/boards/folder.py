"""A board's folder: written whole or not at all, and only after every file in it has passed the gate."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sharpline.errors import ModelError, UsageError
from sharpline.lab.boards.formats import FORMATS
from sharpline.lab.boards.half import in_half
from sharpline.lab.boards.made import Made, Options, Size, SourceModel
from sharpline.lab.boards.parity import Parity, gate
from sharpline.lab.boards.readme import Compared, readme
from sharpline.lab.boards.run_script import run_py
from sharpline.runtime.boards.check import check_file
from sharpline.runtime.boards.profile import Board, FileOf
from sharpline.runtime.certificate.document import sha256_of
from sharpline.runtime.formats.stack import float_stack, require_relus

SUMS = "SHA256SUMS"
_CHECKED = (".onnx", ".tflite")
_OF_RELUS = ("onnx-int8-orin", "tflite-int8")  # integers that these formats have no words for otherwise

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """A folder that was written.

    Attributes:
        folder: where.
        board: for which board.
        model: the model's name.
        files: the model files with how near each is to its source.
        trials: the FP32 files once more, with the rounding of the FP16 that the board computes in.
        left_out: formats of the board that this model has no file in, with the reason.
        certified: whether a certificate is in it.
    """

    folder: Path
    board: str
    model: str
    files: list[Compared]
    trials: list[Compared]
    left_out: dict[str, str]
    certified: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "folder": str(self.folder),
            "board": self.board,
            "model": self.model,
            "files": [_plain(made, parity) for made, parity in self.files],
            "trials": [_plain(made, parity) for made, parity in self.trials],
            "left_out": self.left_out,
            "certificate": self.certified,
        }


def _plain(made: Made, parity: Parity | None) -> dict[str, Any]:
    return {
        "file": made.file,
        "format": made.format,
        "precision": made.precision,
        "size": made.size,
        "checked_in": made.engine,
        "parity": None if parity is None else parity.to_dict(),
    }


def export_board(
    model: SourceModel,
    board: Board,
    output: Path,
    *,
    size: Size | None = None,
    overwrite: bool = False,
    tell: Tell = lambda what: None,
) -> Exported:
    """Write a model's folder for a board.

    Args:
        model: what is exported.
        board: the board.
        output: the folder, which is not there yet.
        size: width and height in LR pixels of files with one static shape; default: the board's.
        overwrite: replace a board's folder of that name.
        tell: called with what is being done.

    Raises:
        ModelError: the model has no form that the board takes, or a file is not what its source is.
        UsageError: a folder of that name is there, or a size that no file is of.
    """
    _require_free(output, overwrite)
    wanted, left_out = _wanted(model, board, size)
    with _whole_folder(output) as folder:
        files: list[Compared] = []
        trials: list[Compared] = []
        for file, options in wanted:
            tell(f"writing {file.format}")
            for made in _made(file, options, model, folder, left_out):
                tell(f"comparing {made.file} with {model.source}")
                files.append((made, gate(made, model)))
                _require_runs(folder / made.file, board)
                if "fp16" in board.precisions.fast and made.precision == "fp32" and made.file.endswith(".onnx"):
                    tell(f"trying {made.file} in FP16")
                    half = in_half(made, folder)
                    trials.append((half, gate(half, model)))
        _describe(folder, model, board, files, trials, left_out)
    ended, tried = ([(replace(made, runner=None), p) for made, p in some] for some in (files, trials))
    return Exported(output, board.name, model.card.name, ended, tried, left_out, model.certificate is not None)


def _made(file: FileOf, options: Options, model: SourceModel, folder: Path, left_out: dict[str, str]) -> list[Made]:
    """The files of a format; none where it is optional and what writes it is not installed."""
    try:
        return FORMATS[file.format](model, folder, options)
    except UsageError as error:
        if not file.optional:
            raise
        left_out[file.format] = str(error)
        return []


def _wanted(model: SourceModel, board: Board, size: Size | None) -> tuple[list[tuple[FileOf, Options]], dict[str, str]]:
    wanted, left_out = [], {}
    for file in board.files:
        if file.needs == "int8" and model.integer is None:
            left_out[file.format] = (
                f"{model.card.name} is {model.card.precision} and not an integer network of Sharpline's form; "
                "make one with sharpline compress"
            )
        elif file.needs == "fp32" and model.integer is not None:
            left_out[file.format] = "the integer file is the better one here"
        elif (reason := _unsayable(file.format, model)) is not None:
            left_out[file.format] = reason
        else:
            static = None if file.size is None else size or file.size
            wanted.append((file, Options(static, file.opset, file.ends, tuple(file.targets))))
    if not wanted:
        reason = next(iter(left_out.values()))
        raise ModelError(f"{model.source}: {board.title} takes {', '.join(board.precisions.fast)} only: {reason}")
    if size is not None and all(options.size is None for _, options in wanted):
        raise UsageError(f"--size: the files for {board.name} take pictures of any size")
    smallest = 2 * model.card.receptive_field + 2
    for _, options in wanted:
        if options.size is not None and min(options.size) < smallest:
            raise UsageError(
                f"--size: each side has to be at least {smallest}, twice the network's receptive field and more"
            )
        if options.size is not None and any(side % model.card.tile_multiple for side in options.size):
            raise UsageError(f"--size: the network needs sides that are multiples of {model.card.tile_multiple}")
    return wanted, left_out


def _unsayable(format: str, model: SourceModel) -> str | None:
    """Why a format has no words for a network; None where it has."""
    try:
        if format in _OF_RELUS and model.integer is not None:
            require_relus(model.integer, model.card.name)
        if format == "tflite-fp32":
            float_stack(model.graph, model.card.name)
    except ModelError as error:
        return str(error)
    return None


def _require_runs(path: Path, board: Board) -> None:
    """Refuse a file that our own check of the board stops at."""
    if path.suffix in _CHECKED and (stops := check_file(path, board).stops):
        raise ModelError(f"{path.name}: not written: {board.title} would stop at it ({stops[0]})")


def _describe(
    folder: Path,
    model: SourceModel,
    board: Board,
    files: list[Compared],
    trials: list[Compared],
    left_out: dict[str, str],
) -> None:
    """Everything beside the model files."""
    (folder / "card.json").write_text(model.card.model_dump_json(indent=1) + "\n")
    if model.certificate is not None:
        shutil.copyfile(model.certificate, folder / "certificate.json")
    (folder / "run.py").write_text(run_py(board, [made for made, _ in files]))
    (folder / "README.md").write_text(readme(model, board, files, trials, left_out))
    names = sorted(path.name for path in folder.iterdir())
    sums = [f"{sha256_of((folder / name).read_bytes())}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(sums))


def _require_free(output: Path, overwrite: bool) -> None:
    if not output.exists() and not output.is_symlink():
        return
    if not overwrite:
        raise UsageError(f"{output}: exists already; --overwrite replaces a board's folder")
    if not output.is_dir() or (any(output.iterdir()) and not (output / SUMS).is_file()):
        raise UsageError(
            f"{output}: is not a board's folder (it has no {SUMS}); it is not replaced, choose another name"
        )


@contextmanager
def _whole_folder(output: Path) -> Iterator[Path]:
    """A folder under a temporary name, which takes its own when the block ends well."""
    temporary = output.with_name(f".sharpline-{secrets.token_hex(8)}.tmp")
    old = output.with_name(f".sharpline-{secrets.token_hex(8)}.old")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        if output.exists():
            output.rename(old)
        try:
            temporary.rename(output)
        except OSError:
            with contextlib.suppress(OSError):
                old.rename(output)
            raise
    except OSError as error:
        raise ModelError(f"{output}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
