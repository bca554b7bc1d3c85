"""The verbs of the ``sharpline`` command, collected."""

from __future__ import annotations

import typer

from sharpline import __version__
from sharpline.cli import (
    assets,
    benchmark,
    boards,
    check,
    compile,
    compress,
    degrade,
    evaluate,
    export,
    import_,
    info,
    leaks,
    line,
    models,
    reproduce,
    sensitivity,
    train,
    upscale,
    verify,
    view,
)
from sharpline.cli.ending import Verbs

app = typer.Typer(
    name="sharpline",
    cls=Verbs,
    help="Super-resolution that fits the machine. "
    "Exit codes of all verbs: 0 done, 1 something failed, 2 usage, 130 stopped by Ctrl-C.",
    epilog="Example: sharpline upscale photo.png",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("upscale", epilog=upscale.EXAMPLE)(upscale.upscale)
app.command("models", epilog=models.EXAMPLE)(models.models)
app.command("info", epilog=info.EXAMPLE)(info.info)
app.command("evaluate", epilog=evaluate.EXAMPLE)(evaluate.evaluate)
app.command("train", epilog=train.EXAMPLE)(train.train)
app.command("export", epilog=export.EXAMPLE)(export.export)
app.command("boards", epilog=boards.EXAMPLE)(boards.boards)
app.command("check", epilog=check.EXAMPLE)(check.check)
app.command("benchmark", epilog=benchmark.EXAMPLE)(benchmark.benchmark)
app.command("compile", epilog=compile.EXAMPLE)(compile.compile_)
app.command("compress", epilog=compress.EXAMPLE)(compress.compress)
app.command("sensitivity", epilog=sensitivity.EXAMPLE)(sensitivity.sensitivity)
app.command("verify", epilog=verify.EXAMPLE)(verify.verify)
app.command("reproduce", epilog=reproduce.EXAMPLE)(reproduce.reproduce)
app.command("degrade", epilog=degrade.EXAMPLE)(degrade.degrade)
app.command("leaks", epilog=leaks.EXAMPLE)(leaks.leaks)
app.command("import", epilog=import_.EXAMPLE)(import_.import_)
app.command("view", epilog=view.EXAMPLE)(view.view)
app.add_typer(line.app, name="line", epilog=line.EXAMPLE)
app.add_typer(assets.app, name="assets", epilog=assets.EXAMPLE)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sharpline {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Super-resolution that fits the machine: enlarge pictures, train, measure."""
