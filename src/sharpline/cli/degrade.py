"""``sharpline degrade``: make LR pictures from HR pictures by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from sharpline.cli.output import fail, print_json, say, screen
from sharpline.cli.wing import need_folders, need_lab
from sharpline.errors import UsageError

EXAMPLE = "Example: sharpline degrade recipes/degradations/cheap-camera.yaml photos/ -o lr/ --sheet sheet.png"


def degrade(
    recipe: Annotated[Path, typer.Argument(help="Degradation recipe (YAML).", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Folder of HR pictures.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the LR pictures.", show_default=False)],
    scale: Annotated[int, typer.Option(min=1, max=16, help="HR / LR.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same numbers.")] = 0,
    sheet: Annotated[Path | None, typer.Option(help="Also a contact sheet: HR, LR and what was drawn.")] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Also the folders below.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was drawn for machines.")] = False,
) -> None:
    """Degrade a folder of pictures as a recipe says: PNG files under the same names."""
    need_lab("degrade")
    from sharpline.lab.data.degradation.folder import Job, plan, run
    from sharpline.lab.data.degradation.recipe import load_degradation
    from sharpline.lab.data.degradation.sheet import ROWS, contact_sheet, crop_side
    from sharpline.pixels.formats import format_of
    from sharpline.pixels.writing import write_image

    degradation = load_degradation(recipe)
    need_folders(folder)
    jobs = plan(folder, output, recursive=recursive, overwrite=overwrite)
    if sheet is not None:
        format_of(sheet)
        if sheet.exists() and not overwrite:
            raise UsageError(f"{sheet}: exists already; --overwrite replaces it")
        if not sheet.absolute().parent.is_dir():
            raise UsageError(f"{sheet}: its folder does not exist; make it first")
    done: list[Job] = []
    with Progress(console=screen, transient=True, disable=json or not screen.is_terminal) as bar:
        task = bar.add_task(degradation.name, total=len(jobs))
        crop = crop_side(scale) if sheet is not None else 0
        for job in run(jobs, degradation, scale, seed=seed, overwrite=overwrite, crop=crop):
            if len(done) >= ROWS:
                job.crops = None
            done.append(job)
            bar.advance(task)
            if job.error is not None:
                fail(job.error)
    written = [job for job in done if job.error is None]
    if sheet is not None and written:
        pixels = contact_sheet(written, degradation.name, f"{degradation.description}; x{scale}, seed {seed}")
        write_image(sheet, pixels, overwrite=overwrite)
    if json:
        about = {"recipe": degradation.model_dump(mode="json"), "scale": scale, "seed": seed}
        print_json({**about, "pictures": [_row(job) for job in done]})
    else:
        say(f"{output}: {len(written)} of {len(done)} pictures by {degradation.name}, x{scale}, seed {seed}")
    if len(written) < len(done):
        raise typer.Exit(1)


def _row(job: Any) -> dict[str, Any]:
    sizes = {"hr_size": job.hr_size, "lr_size": job.lr_size}
    return {"name": job.name, "target": str(job.target), "error": job.error, **sizes, "drawn": job.drawn}
