"""``sharpline sensitivity``: how much each layer of a network minds losing weights, channels and bits."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from sharpline.cli.output import print_json, screen
from sharpline.cli.wing import need_lab
from sharpline.errors import UsageError

EXAMPLE = "Example: sharpline sensitivity checkpoints/edge-m-x4.safetensors --hr ../shared/data/valid/cid22"
_SIDE = 256  # HR pixels of a picture that is measured with


def sensitivity(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint of the network.", show_default=False)],
    hr: Annotated[Path, typer.Option(help="Folder of original pictures, not of a test set.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV; the plot lies beside it as PNG.")] = Path(
        "sensitivity.csv"
    ),
    count: Annotated[int, typer.Option(min=1, help="Pictures to measure with; of large ones the middle.")] = 8,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", help="sparsity, thinning or bits (repeatable); default: all there are."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the points for machines.")] = False,
) -> None:
    """Change one layer at a time, without training, and note the dB that are lost."""
    need_lab("sensitivity")
    import torch

    from sharpline.lab.compression.pairs import middles
    from sharpline.lab.compression.quantization.stack import is_plain_stack
    from sharpline.lab.compression.sensitivity import KINDS, Point, write_csv, write_plot
    from sharpline.lab.compression.sensitivity import sensitivity as measured
    from sharpline.lab.training.checkpoint import load_network

    if threads is not None:
        torch.set_num_threads(threads)
    if output.suffix.lower() != ".csv":
        raise UsageError(f"{output}: name a .csv file; the plot takes its name with .png")
    if not output.absolute().parent.is_dir():
        raise UsageError(f"{output.parent}: no such folder; make it first")
    picture = output.with_suffix(".png")
    for path in (output, picture):
        if path.exists() and not overwrite:
            raise UsageError(f"{path}: exists already; --overwrite replaces it")
    if unknown := set(kinds or []) - set(KINDS):
        raise UsageError(f"--kind {min(unknown)}: choose from {', '.join(KINDS)}")
    net, about = load_network(checkpoint)
    pairs = middles(hr, net.config.scale, count, _SIDE // net.config.scale, net.config.colour)
    possible = [kind for kind in KINDS if kind != "bits" or is_plain_stack(net)]
    chosen = [kind for kind in KINDS if kind in (kinds or possible)]
    with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=screen, disable=json) as bar:
        task = bar.add_task("measuring", total=None)

        def tell(point: Point) -> None:
            bar.update(task, description=f"{point.layer}: {point.kind} {point.amount:g} loses {point.drop:.3f} dB")

        points = measured(net, pairs, chosen, tell)
    write_csv(output, points)
    write_plot(picture, points, f"{about.get('name', checkpoint.stem)}, {len(pairs)} pictures of {hr.name}")
    if json:
        print_json([asdict(point) for point in points])
    else:
        worst = max(points, key=lambda point: point.drop)
        screen.print(f"most: {worst.layer}, {worst.kind} {worst.amount:g}: {worst.drop:.2f} dB", markup=False)
        screen.print(f"wrote {output} and {picture}", markup=False)
