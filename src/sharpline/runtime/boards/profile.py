"""Board profiles: what a board runs, as YAML in the package, read strictly."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sharpline.errors import UsageError
from sharpline.settings import read_settings

Verdict = Literal["accelerator", "CPU", "stops", "unknown"]
FileKind = Literal["onnx", "tflite"]
_FOLDER = Path(__file__).parent / "profiles"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuntimeVersion(_Strict):
    """A piece of software on the board.

    Attributes:
        name: for example ``TensorRT``.
        version: as the board's system has it, or what is asked for.
    """

    name: str
    version: str


class Precisions(_Strict):
    """Arithmetic of the board.

    Attributes:
        fast: what it is built for.
        works: what runs, and gains nothing over ``fast``.
        refused: what it does not have, and why.
    """

    fast: list[str]
    works: list[str] = []
    refused: dict[str, str] = {}


class Special(_Strict):
    """What an operator is, where that differs from the lists.

    Attributes:
        operators: which ones; empty: all.
        attribute: name of the attribute that decides, and ``values``: for which of its values; None: for all.
        above_version: for versions of the operator above this (TFLite).
        types: for inputs or outputs of these types.
        verdict: what comes of it.
        reason: why.
        rewrite: what to do about it.
    """

    operators: list[str] = []
    attribute: str | None = None
    values: list[str] = []
    above_version: int | None = None
    types: list[str] = []
    verdict: Verdict
    reason: str
    rewrite: str = ""


class Others(_Strict):
    """What becomes of operators that stand in no list."""

    verdict: Verdict
    reason: str


class Takes(_Strict):
    """How the board takes one kind of model file.

    Attributes:
        by: what reads the file.
        least_opset, most_opset: of ONNX files.
        ends: types of pictures that go in and out.
        static: whether every shape has to be a number.
        quantization: the rules for quantized tensors; see :mod:`sharpline.runtime.boards.rules`.
        accelerator, cpu, stops: operators by what becomes of them.
        exceptions: the first that fits comes before the lists.
        others: operators in no list.
    """

    by: str
    least_opset: int | None = None
    most_opset: int | None = None
    ends: list[str]
    static: bool = False
    quantization: Literal["any", "none", "tensorrt", "full-integer"] = "any"
    accelerator: list[str] = []
    cpu: list[str] = []
    stops: list[str] = []
    exceptions: list[Special] = []
    others: Others


class FileOf(_Strict):
    """A model file of the board's folder.

    Attributes:
        format: which one.
        needs: ``int8`` where only an integer network can be written so, ``fp32`` where an integer network has a
            better file, else ``any``.
        opset: of ONNX files.
        ends: type of pictures in ONNX files.
        size: width and height in LR pixels where the shape is static; ``--size`` replaces it.
        targets: processors of machine code.
        optional: whether the folder is of use without it, where a package that writes it is not installed.
    """

    format: str
    needs: Literal["any", "int8", "fp32"] = "any"
    opset: int = 18
    ends: Literal["uint8", "float32"] = "uint8"
    size: tuple[int, int] | None = None
    targets: list[str] = []
    optional: bool = False


class Limits(_Strict):
    """Limits of a board.

    Attributes:
        memory_mib: RAM, shared with the system; None where boards differ.
        parameters_mib: of weights that the accelerator keeps.
    """

    memory_mib: int | None = None
    parameters_mib: float | None = None


class Board(_Strict):
    """One board.

    Attributes:
        name: as in ``--board``.
        title: for people.
        accelerator: what computes.
        runtimes: software on it.
        precisions: arithmetic.
        python: version of the board's own Python; empty where it has none.
        limits: of memory.
        takes: how it takes each kind of file; a kind that is missing is refused.
        refused: why the missing kinds are.
        files: what a folder holds.
        camera: command that shows the camera's picture, or how it is opened.
        install: commands on the board, once.
        build: commands that turn a file into what runs; ``{file}``, ``{stem}``, ``{width}``, ``{height}`` and
            ``{input}`` are filled in. By the format they are for.
        build_on: where those commands run.
        run: commands that upscale.
        at_hand: whether its folders were run on such a machine.
        notes: sentences for the README.
    """

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str
    accelerator: str
    runtimes: list[RuntimeVersion] = Field(min_length=1)
    precisions: Precisions
    python: str = ""
    limits: Limits = Limits()
    takes: dict[FileKind, Takes]
    refused: dict[FileKind, str] = {}
    files: list[FileOf] = Field(min_length=1)
    camera: str = ""
    install: list[str] = []
    build: dict[str, list[str]] = {}
    build_on: Literal["board", "host"] = "board"
    run: list[str] = []
    at_hand: bool = False
    notes: list[str] = []

    @model_validator(mode="after")
    def _every_kind_is_answered(self) -> Board:
        kinds = {"onnx", "tflite"}
        if set(self.takes) | set(self.refused) != kinds or set(self.takes) & set(self.refused):
            raise ValueError("each of onnx and tflite is either under takes or, with the reason, under refused")
        return self


def board_names() -> list[str]:
    """Names of all boards.

    Example:
        >>> "jetson-nano" in board_names()
        True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


@cache
def load_board(name: str) -> Board:
    """A board by its name.

    Raises:
        UsageError: there is no such board.

    Example:
        >>> load_board("jetson-nano").precisions.fast
        ['fp16']
    """
    names = board_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"boards are {', '.join(names)}"
        raise UsageError(f"unknown board '{name}': {hint} ('sharpline boards' lists all)")
    return read_board(_FOLDER / f"{name}.yaml")


def read_board(path: Path) -> Board:
    """A board from a file.

    Raises:
        UsageError: no such file, not YAML, an unknown key, a wrong type or value, a name that is not the file's.
    """
    board = read_settings(path, Board)
    if board.name != path.stem:
        raise UsageError(f"{path}: its name is {board.name!r}, the file's is {path.stem!r}")
    return board


def summary(board: Board) -> dict[str, Any]:
    """A board in one row, for machines."""
    return {
        "name": board.name,
        "title": board.title,
        "accelerator": board.accelerator,
        "runtimes": [f"{r.name} {r.version}" for r in board.runtimes],
        "fast": board.precisions.fast,
        "refused": board.precisions.refused,
        "python": board.python,
        "takes": sorted(board.takes),
        "formats": [file.format for file in board.files],
    }
