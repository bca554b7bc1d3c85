"""``sharpline evaluate``: score a model, or pictures made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from sharpline.cli.models_from import ZERO_SHOT, Precision, model_from
from sharpline.cli.output import print_json, results, screen
from sharpline.errors import UsageError
from sharpline.runtime.ensemble import SelfEnsemble
from sharpline.runtime.evaluation import Evaluation, ImageScore, evaluate_model, evaluate_pairs
from sharpline.runtime.interpolation import DEFAULT_SCALE
from sharpline.runtime.upscaler import Upscaler

EXAMPLE = "Example: sharpline evaluate --model edge-m-x4 --hr ../shared/data/test/Set5"


def evaluate(
    hr: Annotated[Path, typer.Option(help="Folder of original pictures.", show_default=False)],
    scale: Annotated[int | None, typer.Option(min=1, help="Enlargement; default: the model's, or 4.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Name, .onnx file or checkpoint: LR is made by MATLAB bicubic, upscaled and scored."),
    ] = None,
    sr: Annotated[Path | None, typer.Option(help="Folder of upscaled pictures to score, paired by stem.")] = None,
    precision: Annotated[
        Precision, typer.Option(help="Of an embedded network; auto: integers where it has them.")
    ] = Precision.auto,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Average over the eight turned and mirrored pictures.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the scores for machines.")] = False,
) -> None:
    """Measure PSNR and SSIM with the field's protocol, which every result names."""
    if (model is None) == (sr is None):
        raise UsageError("give either --model NAME or --sr DIR")
    if sr is not None and ensemble:
        raise UsageError("--ensemble goes with --model: pictures that are made already cannot be turned")
    if model == ZERO_SHOT:
        raise UsageError(f"{ZERO_SHOT} learns from each picture: upscale with it first, then score the results by --sr")
    upscaler = None
    if model is not None:
        upscaler = Upscaler(model_from(model, scale), scale=scale, threads=threads, precision=precision.value)
    with Progress(console=screen, transient=True, disable=json or not screen.is_terminal) as bar:
        task = bar.add_task("scoring", total=None)

        def advance(done: int, total: int, score: ImageScore) -> None:
            bar.update(task, completed=done, total=total, description=score.name)

        if upscaler is not None:
            chosen = SelfEnsemble(upscaler) if ensemble else upscaler
            scores = evaluate_model(chosen, hr, upscaler.scale, progress=advance)
        elif sr is not None:
            scores = evaluate_pairs(sr, hr, scale or DEFAULT_SCALE, progress=advance)
    if json:
        print_json(scores.to_dict())
    else:
        show(scores)


def show(scores: Evaluation) -> None:
    """The scores as a table."""
    table = Table(box=None, header_style="bold", show_footer=True)
    table.add_column("picture", f"mean of {len(scores.images)}")
    table.add_column("PSNR dB", f"{scores.psnr_y:.2f}", justify="right")
    table.add_column("SSIM", f"{scores.ssim_y:.4f}", justify="right")
    for image in scores.images:
        table.add_row(image.name, f"{image.psnr_y:.2f}", f"{image.ssim_y:.4f}")
    results.print(table)
    results.print(f"{scores.model}, x{scores.scale}; {scores.protocol}", markup=False)
