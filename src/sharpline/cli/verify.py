"""``sharpline verify``: measure again what a certificate says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sharpline.cli.output import fail, print_json, results, screen
from sharpline.errors import UsageError
from sharpline.runtime.catalog import file_of
from sharpline.runtime.certificate.verify import verify as measure_again

EXAMPLE = "Example: sharpline verify edge-m-x4 --hr Set5=../shared/data/test/Set5"


def verify(
    model: Annotated[
        str, typer.Argument(help="Model file (.onnx), or name of an embedded network.", show_default=False)
    ],
    certificate: Annotated[
        Path | None, typer.Option(help="Certificate; default: MODEL.certificate.json beside it.")
    ] = None,
    hr: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER of a certified set of pictures (repeatable); without it none is scored."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings for machines.")] = False,
) -> None:
    """Refuse a file that is not the certified one, and measure its figures again. Exit code 1: one does not hold."""
    with screen.status("verifying") as status:
        findings = measure_again(file_of(model), certificate, _sets(hr or []), tell=lambda what: status.update(what))
    if json:
        print_json([vars(finding) for finding in findings])
    else:
        table = Table(box=None, header_style="bold")
        for heading in ("figure", "certified", "measured", ""):
            table.add_column(heading, justify="left" if heading == "figure" else "right")
        for f in findings:
            verdict = {True: "holds", False: "DOES NOT HOLD", None: "not limited"}[f.holds]
            table.add_row(f.what, _figure(f.certified), _figure(f.measured), verdict)
        results.print(table)
    if failed := [f.what for f in findings if f.holds is False]:
        fail(f"{model}: {len(failed)} of {len(findings)} figures do not hold: {', '.join(failed)}")
        raise typer.Exit(1)


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"


def _sets(given: list[str]) -> dict[str, Path]:
    sets = {}
    for item in given:
        name, equals, folder = item.partition("=")
        if not equals or not name or not folder:
            raise UsageError(f"--hr {item}: write NAME=FOLDER, for example Set5=data/test/Set5")
        sets[name] = Path(folder)
    return sets
