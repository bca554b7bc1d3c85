"""``sharpline check``: whether a board runs a model file."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from sharpline.cli.models_from import model_from
from sharpline.cli.output import fail, one_line, print_json, results
from sharpline.runtime.boards.check import Report
from sharpline.runtime.boards.named import check_model
from sharpline.runtime.boards.profile import Board, load_board

EXAMPLE = "Example: sharpline check model.onnx --board jetson-nano"
_COLOURS = {"stops": "red", "CPU": "yellow", "warns": "yellow", "unknown": "yellow"}


def check(
    model: Annotated[
        str, typer.Argument(help="Any .onnx or .tflite file; also a name or a checkpoint.", show_default=False)
    ],
    board: Annotated[str, typer.Option(help="Name of the board; 'sharpline boards' lists them.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the findings for machines.")] = False,
) -> None:
    """Say of each operator of a model where a board runs it, and check shapes, opset and quantization.

    A name or a checkpoint is checked in the form that it is stored in; 'sharpline export' writes the board's own.
    Exit code 1: the board does not run it.
    """
    profile = load_board(board)
    report = check_model(model_from(model), profile, model)
    if json:
        print_json(report.to_dict())
    else:
        _print(report, profile)
    if stops := report.stops:
        more = f" (and {len(stops) - 1} more)" if len(stops) > 1 else ""
        fail(f"{model}: {profile.title} does not run it: {stops[0]}{more}")
        raise typer.Exit(1)


def _print(report: Report, board: Board) -> None:
    if report.rows:
        table = _table("operator", "count", "runs on", "why", "what to do")
        for row in report.rows:
            place = "the CPU" if row.verdict == "CPU" else row.verdict
            shown = _coloured(place, row.verdict)
            table.add_row(_plain(row.operator), str(row.count), shown, _plain(row.reason), _plain(row.rewrite))
        results.print(table)
        results.print()
    table = _table("rule", "", "why", "what to do")
    for found in report.findings:
        shown = _coloured(found.verdict, found.verdict)
        table.add_row(found.rule, shown, _plain(found.reason), _plain(found.rewrite))
    results.print(table)
    if not report.stops:
        results.print(
            f"\n{board.title} runs it." if board.at_hand else f"\n{board.title} should run it; not run on the device."
        )


def _plain(text: str) -> str:
    """What a stranger's file is called, without markup or control characters."""
    return escape(one_line(text))


def _coloured(text: str, verdict: str) -> str:
    colour = _COLOURS.get(verdict, "green")
    return f"[{colour}]{text}[/{colour}]"


def _table(*headings: str) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading == "count" else "left", overflow="fold")
    return table
