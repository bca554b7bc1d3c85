"""``sharpline boards``: the boards that models are exported for."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from sharpline.cli.output import print_json, results
from sharpline.runtime.boards.profile import board_names, load_board, summary

EXAMPLE = "Example: sharpline boards --json"


def boards(
    json: Annotated[bool, typer.Option("--json", help="Print them for machines.")] = False,
) -> None:
    """List the boards that models are exported for and checked against."""
    known = [load_board(name) for name in board_names()]
    if json:
        print_json([summary(board) for board in known])
        return
    table = Table(box=None, header_style="bold")
    for column in ("name", "board", "fast", "takes", "runtime"):
        table.add_column(column, no_wrap=column == "name")
    for board in known:
        runtimes = ", ".join(f"{r.name} {r.version}" for r in board.runtimes)
        table.add_row(board.name, board.title, " ".join(board.precisions.fast), " ".join(board.takes), runtimes)
    results.print(table)
