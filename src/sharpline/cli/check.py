"""``sharpline check``: whether a board runs a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from sharpline.cli.output import fail, print_json, results
from sharpline.runtime.boards.check import Report, check_file
from sharpline.runtime.boards.profile import Board, load_board

EXAMPLE = "Example: sharpline check model.onnx --board jetson-nano"
_COLOURS = {"stops": "red", "CPU": "yellow", "warns": "yellow", "unknown": "yellow"}


def check(
    file: Annotated[Path, typer.Argument(help="Any .onnx or .tflite file.", show_default=False)],
    board: Annotated[str, typer.Option(help="Name of the board; 'sharpline boards' lists them.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the findings for machines.")] = False,
) -> None:
    """Say of each operator of a model where a board runs it, and check shapes, opset and quantization.

    Exit code 1: the board does not run it.
    """
    profile = load_board(board)
    report = check_file(file, profile)
    if json:
        print_json(report.to_dict())
    else:
        _print(report, profile)
    if stops := report.stops:
        more = f" (and {len(stops) - 1} more)" if len(stops) > 1 else ""
        fail(f"{file}: {profile.title} does not run it: {stops[0]}{more}")
        raise typer.Exit(1)


def _print(report: Report, board: Board) -> None:
    if report.rows:
        table = _table("operator", "count", "runs on", "why", "what to do")
        for row in report.rows:
            place = "the CPU" if row.verdict == "CPU" else row.verdict
            shown = _coloured(place, row.verdict)
            table.add_row(escape(row.operator), str(row.count), shown, escape(row.reason), escape(row.rewrite))
        results.print(table)
        results.print()
    table = _table("rule", "", "why", "what to do")
    for found in report.findings:
        shown = _coloured(found.verdict, found.verdict)
        table.add_row(found.rule, shown, escape(found.reason), escape(found.rewrite))
    results.print(table)
    if not report.stops:
        results.print(
            f"\n{board.title} runs it." if board.at_hand else f"\n{board.title} should run it; not run on the device."
        )


def _coloured(text: str, verdict: str) -> str:
    colour = _COLOURS.get(verdict, "green")
    return f"[{colour}]{text}[/{colour}]"


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading == "count" else "left", overflow="fold")
    return table
