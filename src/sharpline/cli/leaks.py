"""``sharpline leaks``: pictures that training and test sets share."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from sharpline.cli.output import one_line, print_json, results, say, screen
from sharpline.cli.wing import need_folders, need_lab

EXAMPLE = "Example: sharpline leaks data/train/photos --test data/test/Set5 --test data/test/Set14"


def leaks(
    train: Annotated[list[Path], typer.Argument(help="Folders of training pictures.", show_default=False)],
    test: Annotated[
        list[Path], typer.Option("--test", help="Folder of test pictures (repeatable).", show_default=False)
    ],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Also the folders below.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the pairs for machines.")] = False,
) -> None:
    """Find test pictures in training folders, resized, compressed, flipped or turned. Exit code 1: there are some."""
    need_lab("leaks")
    from sharpline.lab.data.leaks import find_leaks

    need_folders(*train, *test)
    with Progress(console=screen, transient=True, disable=json or not screen.is_terminal) as bar:
        task = bar.add_task("looking", total=None)
        found = find_leaks(
            train, test, recursive=recursive, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    if json:
        print_json([asdict(leak) for leak in found])
    else:
        for leak in found:
            results.print(one_line(f"{leak.similarity:.3f}  {leak.train}  {leak.test}"), markup=False)
        say(f"{len(found)} suspicious pairs" if found else "no test picture was found in the training folders")
    if found:
        raise typer.Exit(1)
