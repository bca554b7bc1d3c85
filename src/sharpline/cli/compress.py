"""``sharpline compress``: make a network light, and say what that cost."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sharpline.cli.output import fail, print_json, results, screen, show_step, step_bar
from sharpline.cli.wing import data_folder, need_lab

if TYPE_CHECKING:
    from sharpline.lab.training.loop import Progress as Training
    from sharpline.runtime.certificate.document import Certificate

EXAMPLE = "Example: sharpline compress recipes/compress/edge-m-x4-int8.yaml --max-drop 0.05dB --max-bytes 150KB"


def compress(
    recipe: Annotated[Path, typer.Argument(help="Chain (YAML), see recipes/compress/.", show_default=False)],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Run folder; default: runs/RECIPE.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; default: $SHARPLINE_DATA.")] = None,
    max_drop: Annotated[str | None, typer.Option(help="Y-PSNR that each set may lose, for example 0.05dB.")] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Size of the model file, for example 120KB.")] = None,
    max_ms: Annotated[str | None, typer.Option(help="Median time of a frame here, for example 30ms.")] = None,
    max_macs: Annotated[str | None, typer.Option(help="Multiply-accumulates per LR pixel, for example 60K.")] = None,
    min_consistency: Annotated[
        str | None, typer.Option(help="PSNR of the shrunk result against LR, for example 40dB.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Replace a value of the chain: key=value (repeatable).")
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Do not use a GPU.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of training; default: all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the certificate for machines.")] = False,
) -> None:
    """Prune, thin, distil and quantize a network, measure every step, and certify the result.

    Exit code 1: the contract is broken, nothing is shipped. Started again it goes on where it was stopped.
    """
    need_lab("compress")
    import torch

    from sharpline.lab.compression.chain import compress as run_chain
    from sharpline.lab.compression.recipe import load_chain

    if threads is not None:
        torch.set_num_threads(threads)
    limits = {
        "max_drop": max_drop,
        "max_bytes": max_bytes,
        "max_ms": max_ms,
        "max_macs": max_macs,
        "min_consistency": min_consistency,
    }
    given = [f"contract.{name}={value}" for name, value in limits.items() if value is not None]
    chain = load_chain(recipe, [*(changes or []), *given])
    folder = output or Path("runs") / recipe.stem
    with step_bar(hidden=json) as bar:
        task = bar.add_task("reading", total=None)

        def tell(what: str, training: Training | None) -> None:
            if training is None:
                bar.update(task, description=what.splitlines()[0] if "\n" not in what else "measuring")
                if "\n" in what:
                    bar.console.print(what, markup=False)
                return
            score = "" if training.psnr_y is None else f" {training.psnr_y:.3f} dB"
            show_step(bar, task, training.step, training.steps, f"{what}{score}")

        result = run_chain(
            chain,
            data_folder(data),
            folder,
            recipe_sha256=hashlib.sha256(recipe.read_bytes()).hexdigest(),
            device="cpu" if cpu else "auto",
            tell=tell,
        )
    if json:
        print_json(result.certificate.model_dump(mode="json"))
    else:
        _show(result.certificate, result.files)
    if result.certificate.breaches:
        for breach in result.certificate.breaches:
            fail(f"{chain.name}: {breach}")
        fail(f"{chain.name}: the contract is broken, no model is shipped; see {result.files[-1]}")
        raise typer.Exit(1)


def _show(certificate: Certificate, files: list[Path]) -> None:
    """What it cost, in lines."""
    before, after = certificate.before, certificate.after
    for step in certificate.steps:
        results.print(
            f"{step.kind}: valid {step.psnr_before:.3f} -> {step.psnr_after:.3f} dB, {step.bytes:,} bytes "
            f"({step.bytes_deflated:,} deflated), {step.macs:,} MACs, {step.ms:.1f} ms",
            markup=False,
        )
    for name, scores in certificate.sets.items():
        results.print(
            f"{name}: {scores.before.psnr_y:.3f} -> {scores.after.psnr_y:.3f} dB; worst picture {scores.worst.name} "
            f"lost {scores.worst.drop:.3f} dB",
            markup=False,
        )
    results.print(
        f"{before.bytes:,} -> {after.bytes:,} bytes; {before.ms_p50:.1f} -> {after.ms_p50:.1f} ms "
        f"({before.ms_p50 / after.ms_p50:.2f} x) at {certificate.frame[0]} x {certificate.frame[1]}, "
        f"{certificate.machine}",
        markup=False,
    )
    for path in files:
        screen.print(f"wrote {path}", markup=False)
