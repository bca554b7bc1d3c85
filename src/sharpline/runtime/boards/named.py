"""Models by name, as a board takes them."""

from __future__ import annotations

from pathlib import Path

import onnx

from sharpline.errors import UsageError
from sharpline.runtime.boards.check import Report, check_facts, check_file
from sharpline.runtime.boards.onnx_facts import facts_of
from sharpline.runtime.boards.profile import Board
from sharpline.runtime.catalog import Precision, open_model, precisions_of


def precision_on(board: Board, model: str) -> Precision:
    """The precision that a name stands for: integers where the board is fast in them, else floats.

    Args:
        board: the board.
        model: name of an embedded network, or an ``.onnx`` file, which has one precision.

    Example:
        >>> from sharpline.runtime.boards.profile import load_board
        >>> precision_on(load_board("jetson-nano"), "edge-m-x4")
        'fp32'
    """
    floats = "int8" not in board.precisions.fast and "fp32" in precisions_of(model)
    return "fp32" if floats else "auto"


def check_model(model: str | onnx.ModelProto, board: Board, source: str) -> Report:
    """Check a file of anybody's, an embedded network or a model in memory; see :func:`check_file`.

    Args:
        model: name, path of an ``.onnx`` or ``.tflite`` file, or the model itself.
        board: the board.
        source: what the report calls it.

    Raises:
        ModelError: a file that cannot be read, or is of another kind.
        UsageError: no such name, or an interpolation.

    Example:
        >>> from sharpline.runtime.boards.profile import load_board
        >>> check_model("edge-s-x4", load_board("x86-cpu"), "edge-s-x4").stops
        []
    """
    if isinstance(model, onnx.ModelProto):
        return check_facts(facts_of(model), board, source)
    path = Path(model)
    if path.suffix or path.name != model or path.exists():
        return check_file(path, board)
    graph = open_model(model, precision=precision_on(board, model)).graph
    if graph is None:
        raise UsageError(f"{model} is interpolation; a board takes a network: a name, a checkpoint or a model file")
    return check_facts(facts_of(graph), board, source)
