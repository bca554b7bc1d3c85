"""``sharpline assets``: files that Sharpline can use and may not contain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from sharpline.cli.output import fail, print_json, results, say, screen
from sharpline.errors import ModelError, UsageError
from sharpline.runtime.assets import Asset, asset_path, cache_folder, find_asset, partial, registry, size_of

EXAMPLE = "Example: sharpline assets pull niqe"

app = typer.Typer(
    help="List, get and find files that may not be part of Sharpline: NIQE's parameters, published weights. "
    "They are fetched only by 'pull'.",
    no_args_is_help=True,
)

Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", help="Folder of the assets; default: SHARPLINE_ASSETS, or your cache folder.", show_default=False
    ),
]


def _state(asset: Asset, folder: Path) -> str:
    """By size only: hashing all would make a list slow."""
    path = folder / asset.file
    if path.is_file():
        return "present" if size_of(path) == asset.size else "damaged"
    return "partial" if partial(path).is_file() else "missing"


@app.command("list", epilog="Example: sharpline assets list --json")
def list_assets(
    cache: Cache = None,
    json: Annotated[bool, typer.Option("--json", help="Print the registry for machines.")] = False,
) -> None:
    """Show what can be pulled: name, size, licence, whether it is there, what for."""
    folder = cache_folder(cache)
    assets = registry().values()
    if json:
        extra = [{"path": str(folder / asset.file), "state": _state(asset, folder)} for asset in assets]
        print_json([asset.model_dump(mode="json") | more for asset, more in zip(assets, extra, strict=True)])
        return
    table = Table(box=None, header_style="bold")
    for column in ("name", "size", "licence", "state", "what for"):
        table.add_column(column, justify="right" if column == "size" else "left", no_wrap=column != "what for")
    for asset in assets:
        table.add_row(asset.name, decimal(asset.size), asset.licence, _state(asset, folder), asset.purpose)
    results.print(table)
    results.print(f"folder: {folder}", markup=False)


@app.command("pull", epilog=EXAMPLE)
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="What to get (see list).", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Get all.")] = False,
    url_base: Annotated[
        str | None,
        typer.Option(
            envvar="SHARPLINE_MIRROR", help="Get NAME's file from this address instead (a mirror).", show_default=False
        ),
    ] = None,
    cache: Cache = None,
) -> None:
    """Download assets and print their paths. What is there already is not fetched again.

    An interrupted download goes on where it stopped. Size and SHA-256 are checked. Proxies: HTTPS_PROXY,
    HTTP_PROXY, NO_PROXY. Exit code 0: all there. 1: some failed. 2: usage. 130: stopped by Ctrl-C.
    """
    if bool(names) == everything:
        raise UsageError("name what to pull ('sharpline assets list' shows it), or give --all")
    wanted = list(registry().values()) if everything else [find_asset(name) for name in dict.fromkeys(names or [])]
    try:
        failed = [asset for asset in wanted if not _pull(asset, cache_folder(cache), url_base)]
    except KeyboardInterrupt:
        say("stopped; what has arrived is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    if failed:
        raise typer.Exit(1)


def _pull(asset: Asset, folder: Path, mirror: str | None) -> bool:
    """Get one under a progress bar and print its path; tell whether it worked."""
    from sharpline.runtime.fetching import pull_asset  # its libraries take half a second to load

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=screen, transient=True, disable=not screen.is_terminal
    ) as bar:
        task = bar.add_task(asset.name, total=asset.size)
        try:
            path = pull_asset(asset, folder, mirror=mirror, progress=lambda done, _: bar.update(task, completed=done))
        except ModelError as error:
            fail(str(error))
            return False
    print(path)
    return True


@app.command("path", epilog="Example: sharpline assets path niqe")
def path(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which (see list).", show_default=False)],
    cache: Cache = None,
) -> None:
    """Print where an asset lies. Exit code 1 and the command to run if it was not pulled; never a download."""
    print(asset_path(name, cache=cache))
