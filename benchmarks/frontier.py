"""Which shapes of the edge family give the most dB for their milliseconds on the compiled engine.

    python benchmarks/frontier.py              all that follows; a shape that is trained is not trained again
    python benchmarks/frontier.py train        trains each shape of recipes/tables/shapes/x4.yaml
    python benchmarks/frontier.py measure      what is trained, and the rest beside it; writes results/frontier.csv
    python benchmarks/frontier.py chart        draws results/frontier.png from that file

Rows and columns: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from common import RESULTS, ROOT, commit, cores, machine, read_csv, write_csv
from frontier_chart import best_for_the_time, chart
from frontier_rows import COMPILED, Row, candidates, published, shipped
from frontier_shapes import recipes_of, train_rows
from sharpline.errors import SharplineError, UsageError
from sharpline.runtime.processor import fitting_targets
from upscale import photograph
from workers import Worker, WorkerError, interleave

PARTS = ("train", "measure", "chart")
SLOW_REPEATS = 5  # of published networks, which take most of a second
COLUMNS = (
    *(
        "machine",
        "commit",
        "load",
        "threads",
        "repeats",
        "input",
        "series",
        "model",
        "row",
        "engine",
        "macs_per_lr_pixel",
    ),
    *("steps", "ms_median", "ms_p95", "fps", "cid22 psnr_y", "Set5 psnr_y"),
)
screen = Console(stderr=True, highlight=False)
Result = dict[str, str]


def measure(options: argparse.Namespace) -> list[Result]:
    """Compile, time all rows in the same rounds, score each with the callable that was timed.

    Raises:
        UsageError: Nothing can be compiled for this processor.
        WorkerError: A row failed.
    """
    if not fitting_targets():
        raise UsageError("no compiled variant runs on this processor: there is nothing to measure")
    load = os.getloadavg()[0]
    if load > 0.5:
        screen.print(f"the machine is busy (load {load:.1f} on {cores()} cores): do not trust these times")
    facts = {"machine": machine(), "commit": commit(), "load": f"{load:.1f}"}
    facts |= {"threads": str(options.threads), "input": options.input}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder, image = Path(scratch), Path(scratch) / "lr.npy"
        np.save(image, photograph(options.data / "test" / "Set5", options.input))
        recipes = recipes_of(options.table, options.changes)
        rows = [
            *candidates(recipes, options.data, options.runs, folder, options.threads),
            *shipped(folder, options.threads),
            *published(folder, options.threads),
        ]
        with Progress(console=screen, transient=True, auto_refresh=False) as bar:
            workers = []
            for row in bar.track(rows, description="starting"):
                worker = Worker(row.make, row.arguments, image=image, threads=options.threads)
                workers.append(stack.enter_context(closing(worker)))
            task = bar.add_task("timing", total=None)
            times = timed(rows, workers, options.repeats, lambda: bar.update(task, advance=1, refresh=True))
            lines = []
            for row, worker, ms in bar.track(list(zip(rows, workers, times, strict=True)), description="scoring"):
                lines.append(facts | _timing(ms) | _about(row, worker.engine) | scores(row, worker, options.data))
                worker.close()
    return lines


def timed(
    rows: Sequence[Row], workers: Sequence[Worker], repeats: int, progress: Callable[[], None]
) -> list[list[float]]:
    """Milliseconds of each row, all in the same rounds; the slow ones leave after some."""
    few = min(repeats, SLOW_REPEATS)
    times = interleave(workers, few, progress=progress)
    rest = [index for index, row in enumerate(rows) if row.series != "published"]
    more = interleave([workers[index] for index in rest], repeats - few, progress=progress)
    for index, ms in zip(rest, more, strict=True):
        times[index] += ms
    return times


def scores(row: Row, worker: Worker, data: Path) -> Result:
    """Y-PSNR where networks are chosen, and of those that are out, on Set5."""
    sets = {"cid22": data / "valid" / "cid22"}
    if row.series != "candidate":
        sets["Set5"] = data / "test" / "Set5"
    found = {name: worker.apply("rivals:psnr_y", folder=str(place), scale=4) for name, place in sets.items()}
    return {f"{name} psnr_y": f"{found[name]:.3f}" if name in found else "" for name in ("cid22", "Set5")}


def _timing(ms: Sequence[float]) -> Result:
    median = float(np.median(ms))
    shown = {"ms_median": f"{median:.2f}", "ms_p95": f"{np.percentile(ms, 95):.2f}", "fps": f"{1e3 / median:.1f}"}
    return shown | {"repeats": str(len(ms))}


def _about(row: Row, engine: str) -> Result:
    names = {"series": row.series, "model": row.model, "row": row.name, "engine": engine}
    return names | {"macs_per_lr_pixel": str(row.macs), "steps": "" if row.steps is None else str(row.steps)}


def verdicts(lines: Sequence[Mapping[str, str]]) -> list[str]:
    """One sentence for each shipped network: the best shape that takes no longer than its own (5 % are noise)."""
    sentences, tried = [], [line for line in lines if line["series"] == "candidate"]
    for tier in (line for line in lines if line["series"] == "shipped" and line["row"] == COMPILED):
        own = next((line for line in tried if line["macs_per_lr_pixel"] == tier["macs_per_lr_pixel"]), None)
        if own is not None:
            within = [line for line in tried if float(line["ms_median"]) <= 1.05 * float(own["ms_median"])]
            best = max(within, key=lambda line: float(line["cid22 psnr_y"]))
            sentences.append(
                f"{tier['model']}: of {len(within)} shapes not slower, {_words(best)}; its own {_words(own)}"
            )
    return sentences


def _words(line: Mapping[str, str]) -> str:
    return f"{line['model']}, {float(line['cid22 psnr_y']):.3f} dB in {float(line['ms_median']):.1f} ms"


def table(lines: Sequence[Mapping[str, str]]) -> Table:
    """All that was measured, fastest first; shapes that no other beats in both are marked."""
    best = best_for_the_time([line for line in lines if line["series"] == "candidate"])
    names = ("series", "model", "row", "macs_per_lr_pixel", "ms_median", "ms_p95", "cid22 psnr_y", "Set5 psnr_y")
    shown = Table(*names, "", box=None, header_style="bold")
    for line in sorted(lines, key=lambda line: float(line["ms_median"])):
        shown.add_row(*(line[name] for name in names), "*" if line in best else "")
    return shown


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data: Any = os.environ.get("SHARPLINE_DATA")
    file = ROOT / "recipes" / "tables" / "shapes" / "x4.yaml"
    parser.add_argument("parts", nargs="*", metavar="PART", help="train, measure, chart (all)")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None, help="data folder ($SHARPLINE_DATA)")
    parser.add_argument("--table", type=Path, default=file, help="table of shapes (recipes/tables/shapes/x4.yaml)")
    parser.add_argument("--set", action="append", default=[], dest="changes", help="key=value for every recipe")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "frontier", help="run folders (runs/frontier)")
    parser.add_argument("--repeats", type=int, default=30, help="rounds (30)")
    parser.add_argument("--input", default="480x270", help="WIDTHxHEIGHT (480x270)")
    parser.add_argument("--threads", type=int, default=2, help="threads within a call (2)")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="folder of the results (benchmarks/results)")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {min(unknown)}: use {', '.join(PARTS)}")
    options.parts = options.parts or list(PARTS)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. Exit code 0: done; 1: something failed; 2: usage."""
    options = _parsed(arguments)
    path: Path = options.output / "frontier.csv"
    try:
        if options.data is None and options.parts != ["chart"]:
            raise UsageError("set SHARPLINE_DATA or --data to the folder that has train/photos and valid/cid22")
        if "train" in options.parts:
            train_rows(recipes_of(options.table, options.changes), options.data, options.runs)
        if "measure" in options.parts:
            write_csv(path, COLUMNS, measure(options))
        if "chart" in options.parts:
            chart(read_csv(path), path.with_suffix(".png"))
    except (SharplineError, WorkerError, OSError) as error:
        print("error:", error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    if options.parts != ["train"]:
        out, lines = Console(highlight=False, width=150), read_csv(path)
        out.print(table(lines))
        for sentence in verdicts(lines):
            out.print(sentence, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
