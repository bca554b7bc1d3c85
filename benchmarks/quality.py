"""Scores every model that comes with Sharpline on Set5, Set14 and BSD100.

    python benchmarks/quality.py             writes benchmarks/results/quality.csv, prints a table

The protocol stands in the file; the sets are found below $SHARPLINE_DATA/test.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from common import RESULTS, commit, machine, write_csv
from sharpline import Upscaler
from sharpline.runtime.catalog import list_models, precisions_of
from sharpline.runtime.evaluation import evaluate_model

SETS = ("Set5", "Set14", "BSD100")
COLUMNS = (
    "machine",
    "commit",
    "model",
    "precision",
    "scale",
    "macs_per_lr_pixel",
    "set",
    "psnr_y",
    "ssim_y",
    "protocol",
)


def main() -> int:
    """Score, write, print."""
    if "SHARPLINE_DATA" not in os.environ:
        print("error: set SHARPLINE_DATA to the folder that has test/Set5", file=sys.stderr)
        return 2
    folder = Path(os.environ["SHARPLINE_DATA"]) / "test"
    cards = list_models()
    networks = [
        (card.name, precision, card.scale)
        for card in cards
        if card.macs_per_lr_pixel
        for precision in precisions_of(card.name)
    ]
    classical = [(card.name, card.precision, scale) for card in cards if not card.macs_per_lr_pixel for scale in (2, 4)]
    facts = {"machine": machine(), "commit": commit()}
    rows: list[dict[str, str]] = []
    for name, precision, scale in track([*networks, *classical], "scoring", console=Console(stderr=True)):
        upscaler = Upscaler(name, scale=scale, precision=precision)
        for dataset in SETS:
            scores = evaluate_model(upscaler, folder / dataset, scale)
            rows.append(
                facts
                | {"model": name, "precision": precision, "scale": str(scale), "set": dataset}
                | {"macs_per_lr_pixel": str(upscaler.card.macs_per_lr_pixel)}
                | {"psnr_y": f"{scores.psnr_y:.3f}", "ssim_y": f"{scores.ssim_y:.4f}", "protocol": scores.protocol}
            )
    write_csv(RESULTS / "quality.csv", COLUMNS, rows)
    table = Table(*("model", "precision", "scale", "set", "PSNR dB", "SSIM"), box=None)
    for row in rows:
        table.add_row(row["model"], row["precision"], f"x{row['scale']}", row["set"], row["psnr_y"], row["ssim_y"])
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
