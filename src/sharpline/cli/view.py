"""``sharpline view``: a picture or a folder of pictures on the operator's page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sharpline.cli.line import need_line
from sharpline.cli.models_from import model_from
from sharpline.cli.output import say
from sharpline.pixels.reading import read_image

EXAMPLE = "Example: sharpline view photo.png"


def view(
    path: Annotated[Path, typer.Argument(metavar="FILE|FOLDER", help="What to look at.", show_default=False)],
    model: Annotated[str, typer.Option(help="Name (see sharpline models), .onnx file or checkpoint.")] = "edge-m-x4",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes a free one.")] = 8080,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """Compare pictures with their enlargements in a browser: slider, loupe, heat map. Ctrl-C ends."""
    need_line("view")
    from sharpline.console.server import Server
    from sharpline.console.stills import Stills, pictures_at
    from sharpline.line.config import ViewConfig
    from sharpline.line.flow.rungs import model_hash
    from sharpline.runtime.upscaler import Upscaler

    files = pictures_at(path)
    if path.is_file():
        read_image(path)  # of a folder, a picture that is broken is said on the page
    chosen = model_from(model)
    name = chosen if isinstance(chosen, str) else None
    server = Server(Stills(files, Upscaler(chosen), "" if name is None else model_hash(name)), ViewConfig(port=port))
    say(f"{len(files)} picture{'s' if len(files) > 1 else ''} at {server.url}")
    if browser and sys.stderr.isatty():
        typer.launch(server.url)
    server.run()
