"""What each way of compression costs: runs the chains of a table and puts their results side by side.

    python benchmarks/compression.py bits            recipes/compress/tables/bits.yaml -> results/compression-bits.csv
    python benchmarks/compression.py pruning         AGP, at once, thinned -> results/compression-pruning.csv
    python benchmarks/compression.py curve           prune, thin, quantize -> results/compression-curve.csv and .png
    python benchmarks/compression.py bits --times    only measures the frames again, all rows in turns

Chains that are done are not run again (runs/tables/NAME); one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from common import RESULTS, ROOT, commit, machine, read_csv, write_csv
from compression_chart import chart
from sharpline import Upscaler
from sharpline.lab.compression.chain import compress
from sharpline.lab.compression.recipe import Chain
from sharpline.runtime.certificate.certify import FRAME, photograph
from sharpline.runtime.certificate.document import Certificate
from sharpline.runtime.certificate.timing import interleaved, percentile

FRAMES = 15
SETS = {"Set5": "test/Set5", "Set14": "test/Set14", "BSD100": "test/BSD100"}
COLUMNS = (
    *("machine", "commit", "row", "from", "steps", "hours"),
    *(f"{name} psnr_y{when}" for name in SETS for when in (" before", "")),
    *("checkpoint_bytes", "onnx_bytes", "onnx_bytes_deflated", "macs_per_lr_pixel", "ms", "chain"),
)  # fmt: skip
CARD = {"version": "1.0", "description": "a row of a table", "licence": "research only", "training_data": "see there"}


class Rows(BaseModel):
    """A table: what its chains have in common, and a chain a row; ``model`` names another start for some rows."""

    model_config = ConfigDict(extra="forbid")

    model: str
    data: dict[str, Any]
    training: dict[str, Any] = {}
    models: dict[str, str] = {}
    rows: dict[str, list[dict[str, Any]]]

    def chain(self, row: str) -> Chain:
        """The chain of a row."""
        common = {"data": self.data, "training": self.training, "sets": SETS, "card": CARD}
        name = "".join(letter if letter.isalnum() else "-" for letter in row.lower())
        return Chain(name=name, model=self.models.get(row, self.model), chain=self.rows[row], **common)


def main() -> int:
    """Run, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=[path.stem for path in sorted(_tables().glob("*.yaml"))])
    parser.add_argument("--times", action="store_true", help="measure the frames of finished rows again, in turns")
    parser.add_argument("--row", action="append", help="only this row (repeatable)")
    chosen = parser.parse_args()
    if "SHARPLINE_DATA" not in os.environ:
        print("error: set SHARPLINE_DATA to the folder that has test/Set5", file=sys.stderr)
        return 2
    data = Path(os.environ["SHARPLINE_DATA"])
    table = Rows.model_validate(yaml.safe_load((_tables() / f"{chosen.table}.yaml").read_text()))
    folders = {row: ROOT / "runs" / "tables" / chosen.table / table.chain(row).name for row in table.rows}
    if not chosen.times:
        for row in chosen.row or table.rows:
            print(f"== {row}", file=sys.stderr)
            compress(table.chain(row), data, folders[row], tell=_tell)
    done = {row: folder for row, folder in folders.items() if (folder / f"{folder.name}.safetensors").exists()}
    path = RESULTS / f"compression-{chosen.table}.csv"
    kept = {line["row"]: line for line in read_csv(path)} if path.exists() else {}
    lines = [_line(table.chain(row), row, folder, kept.get(row)) for row, folder in done.items()]
    if chosen.times:
        _timed(lines, done, data)
    write_csv(path, COLUMNS, lines)
    _show(lines)
    if chosen.table == "curve" and all(line["ms"] for line in lines):
        chart(lines, path.with_suffix(".png"))
    return 0


def _tables() -> Path:
    return ROOT / "recipes" / "compress" / "tables"


def _line(chain: Chain, row: str, folder: Path, kept: dict[str, str] | None) -> dict[str, str]:
    """A row of the file. Where and with which code it was made stays as it was first written."""
    certificate = Certificate.model_validate_json((folder / f"{folder.name}.certificate.json").read_text())
    after, digest = certificate.after, hashlib.sha256(json.dumps(certificate.recipe).encode()).hexdigest()[:12]
    fresh = kept is None or kept["chain"] != digest
    scores = {
        f"{name} psnr_y{when}": f"{scores.psnr_y:.3f}"
        for name, both in certificate.sets.items()
        for when, scores in ((" before", both.before), ("", both.after))
    }
    return scores | {
        "machine": machine() if fresh or kept is None else kept["machine"],
        "commit": commit() if fresh or kept is None else kept["commit"],
        "row": row,
        "from": Path(chain.model).stem,
        "steps": str(sum(step.steps for step in chain.chain)),
        "hours": f"{sum(step.seconds for step in certificate.steps) / 3600:.2f}",
        "checkpoint_bytes": str((folder / f"{folder.name}.safetensors").stat().st_size),
        "onnx_bytes": str(after.bytes),
        "onnx_bytes_deflated": str(after.bytes_deflated),
        "macs_per_lr_pixel": str(after.macs),
        "ms": "" if fresh or kept is None else kept["ms"],
        "chain": digest,
    }


def _timed(lines: list[dict[str, str]], folders: dict[str, Path], data: Path) -> None:
    """Median milliseconds of a 480 x 270 frame, the rows taking turns."""
    upscalers = [Upscaler(folder / f"{folder.name}.onnx") for folder in folders.values()]
    frame = photograph(FRAME, 3, {"": data / "valid/cid22"})
    for line, times in zip(lines, interleaved(upscalers, frame, FRAMES), strict=True):
        line["ms"] = f"{percentile(times, 50):.1f}"


def _show(lines: list[dict[str, str]]) -> None:
    columns = [column for column in COLUMNS if column not in ("machine", "commit", "chain")]
    table = Table(*columns, box=None)
    for line in lines:
        table.add_row(*(line[column] for column in columns))
    Console(width=220).print(table)


def _tell(what: str, progress: object | None) -> None:
    if progress is None:
        print(what, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
