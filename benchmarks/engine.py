"""Times the compiled engine from array to array: against ONNX Runtime and OpenVINO, and against the machine itself.

    python benchmarks/engine.py            measure; writes benchmarks/results/engine.csv and .png
    python benchmarks/engine.py --quick    edge-s, 480 x 270, one thread, 5 rounds: whether it works

It compiles the networks first, for which it needs sharpline[compile]. Rows and columns: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from common import RESULTS, commit, cores, machine, write_csv
from engine_chart import chart
from engine_rows import GEMM_OPERATIONS
from sharpline.compiler import compile_model
from sharpline.compiler.schedule import usual
from sharpline.compiler.targets import target_of
from sharpline.errors import SharplineError, UsageError
from sharpline.runtime.catalog import open_model
from sharpline.runtime.integer import IntegerModel, network_digest, upscale_integer
from sharpline.runtime.integer_graph import integer_model
from sharpline.runtime.libraries import library_of, list_of, write_libraries
from sharpline.runtime.processor import fitting_targets
from upscale import photograph
from workers import Worker, WorkerError, interleave

COLUMNS = (
    *("machine", "commit", "protocol", "threads", "repeats", "input", "model", "row", "engine"),
    *("ms_median", "ms_p95", "fps", "gops", "of_ceiling", "peak_memory_mb", "bytes_off"),
)
PROTOCOL = "uint8 RGB array to new uint8 array; a process a row; rounds, each calls every row once in a new order"
WHOLE = 1_000_000  # rows of a picture that is gone through layer by layer
screen = Console(stderr=True, highlight=False)
Result = dict[str, str]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: What people call it.
        model: The network, or what else it is.
        make: ``module:function`` of the maker.
        arguments: Its arguments.
        operations: Additions and multiplications of a call.
        exact: Its picture has to be the judge's, byte for byte.
    """

    name: str
    model: str
    make: str
    arguments: Mapping[str, Any]
    operations: float
    exact: bool = field(default=False)


def prepare(name: str, folder: Path) -> IntegerModel:
    """Compile a network for every target that runs here, and layer by layer for the best of them.

    Raises:
        UsageError: Nothing can be compiled here.
    """
    found = open_model(name, precision="int8")
    assert found.graph is not None
    integers, targets = integer_model(found.graph, found.source), fitting_targets()
    if not targets:
        raise UsageError("no compiled variant runs on this processor: there is nothing to measure")
    digest = network_digest(integers)
    for part, wanted in (("window", targets), ("layers", targets[:1])):
        file = folder / part / f"{found.card.name}.onnx"
        file.parent.mkdir(exist_ok=True)
        onnx.save(found.graph, file)
        for target in wanted:
            schedule = replace(usual(target_of(target)), rows=WHOLE) if part == "layers" else None
            path = library_of(file, target)
            compile_model(integers, target, path, name=found.card.name, digest=digest, schedule=schedule)
            write_libraries(list_of(file), digest, [(target, path)])
    return integers


def rows_of(names: Sequence[str], folder: Path, pixels: int, threads: int) -> list[Row]:
    """All rows of one input size and one number of threads."""
    rows = []
    targets = fitting_targets()
    for name in names:
        card = open_model(name, precision="int8").card
        operations = 2.0 * card.macs_per_lr_pixel * pixels
        window, layers = (str(folder / part / f"{card.name}.onnx") for part in ("window", "layers"))
        for file, target, how in [*((window, t, "") for t in targets), (layers, targets[0], ", layer by layer")]:
            given = {"model": file, "target": target, "threads": threads}
            rows.append(Row(f"compiled, {target}{how}", card.name, "engine_rows:compiled", given, operations, True))
        for engine, title in (("ort", "ONNX Runtime"), ("openvino", "OpenVINO")):
            for precision in ("int8",) if Path(name).suffix else ("fp32", "int8"):  # a file is one of them
                given = {"model": name, "engine": engine, "threads": threads, "precision": precision}
                rows.append(Row(f"{title} {precision.upper()}", card.name, "engine_rows:library", given, operations))
    for engine, title in (("ort", "ONNX Runtime MatMulInteger"), ("openvino", "OpenVINO MatMul INT8")):
        given = {"engine": engine, "threads": threads}
        rows.append(Row(title, "matrix product", "engine_rows:gemm", given, GEMM_OPERATIONS))
    return rows


def measure(
    rows: Sequence[Row], image: Path, judged: Mapping[str, Any], threads: int, repeats: int
) -> list[dict[str, Any]]:
    """Time rows of one input and one number of threads in rounds; compare their pictures with the judge's.

    Raises:
        WorkerError: A row failed, or a compiled one differs from the judge.
    """
    with ExitStack() as stack, Progress(console=screen, transient=True, auto_refresh=False) as bar:
        workers = []
        for row in bar.track(rows, description="starting"):
            worker = Worker(row.make, row.arguments, image=image, threads=threads)
            workers.append(stack.enter_context(closing(worker)))
        task = bar.add_task(f"timing, {threads} threads", total=repeats * len(rows))
        times = interleave(workers, repeats, progress=lambda: bar.update(task, advance=1, refresh=True))
        memory = [worker.peak_memory() for worker in workers]
        off = [_bytes_off(row, worker, judged, image) for row, worker in zip(rows, workers, strict=True)]
        engines = [worker.engine for worker in workers]
    rates = [row.operations / np.median(ms) / 1e6 for row, ms in zip(rows, times, strict=True)]
    ceiling = max(rate for row, rate in zip(rows, rates, strict=True) if row.model not in judged)
    return [
        {"model": row.model, "row": row.name, "engine": engine, "threads": threads}
        | {"ms_median": f"{np.median(ms):.2f}", "ms_p95": f"{np.percentile(ms, 95):.2f}"}
        | {"fps": f"{1e3 / np.median(ms):.1f}", "gops": f"{rate:.0f}", "of_ceiling": f"{rate / ceiling:.2f}"}
        | {"peak_memory_mb": f"{peak:.0f}", "bytes_off": off}
        for row, engine, ms, rate, peak, off in zip(rows, engines, times, rates, memory, off, strict=True)
    ]


def _bytes_off(row: Row, worker: Worker, judged: Mapping[str, Any], image: Path) -> str:
    """How many bytes of a row's picture are not the judge's; nothing for what is no integer network."""
    if row.model not in judged or "FP32" in row.name:
        return ""
    output = image.with_name("sr.npy")
    worker.save(output)
    off = int((np.load(output) != judged[row.model]).sum())
    if off and row.exact:
        raise WorkerError(f"{row.name} of {row.model} differs from the judge in {off} bytes: its time is worth nothing")
    return str(off)


def run(options: argparse.Namespace) -> list[Result]:
    """Compile in a scratch folder, then measure each input with each number of threads."""
    if options.data is None:
        raise UsageError("set SHARPLINE_DATA or --data to the folder that has test/Set5")
    load = os.getloadavg()[0]
    if load > 0.5:
        screen.print(f"the machine is busy (load {load:.1f} on {cores()} cores): do not trust these times")
    facts = {"machine": machine(), "commit": commit(), "protocol": PROTOCOL, "repeats": str(options.repeats)}
    lines: list[Result] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        models = {open_model(name, precision="int8").card.name: prepare(name, folder) for name in options.model}
        for size in options.input:
            lr = photograph(options.data / "test" / "Set5", size)
            np.save(folder / "lr.npy", lr)
            judged = {name: upscale_integer(model, lr) for name, model in models.items()}
            for threads in options.threads:
                rows = rows_of(options.model, folder, lr.shape[0] * lr.shape[1], threads)
                measured = measure(rows, folder / "lr.npy", judged, threads, options.repeats)
                lines += [facts | {"input": size} | {k: str(v) for k, v in line.items()} for line in measured]
    return lines


def verdicts(lines: Sequence[Result]) -> list[str]:
    """One sentence for each network, input and number of threads: the best compiled row beside the others."""
    sentences = []
    groups = dict.fromkeys((line["model"], line["input"], line["threads"]) for line in lines)
    for model, size, threads in groups:
        own = {
            line["row"]: line
            for line in lines
            if (line["model"], line["input"], line["threads"]) == (model, size, threads)
        }
        ours = [line for row, line in own.items() if row.startswith("compiled")]
        if not ours:
            continue
        best = min(ours, key=lambda line: float(line["ms_median"]))
        ratios = [
            f"{float(line['ms_median']) / float(best['ms_median']):.2f} x {row}"
            for row, line in own.items()
            if line not in ours
        ]
        what = f"{model}, {size}, {threads} thread{'s' if threads != '1' else ''}: {best['row']}"
        share = f"{100 * float(best['of_ceiling']):.0f} % of the ceiling"
        sentences.append(f"{what} {best['ms_median']} ms, {best['fps']} fps, {share}; {', '.join(ratios)}")
    return sentences


def table(lines: Sequence[Result]) -> Table:
    """All that was measured."""
    shown = Table(box=None, header_style="bold")
    names = [
        "input",
        "threads",
        "model",
        "row",
        "ms_median",
        "ms_p95",
        "gops",
        "of_ceiling",
        "peak_memory_mb",
        "bytes_off",
    ]
    for name in names:
        shown.add_column(name, justify="left" if name in names[:4] else "right")
    for line in lines:
        shown.add_row(*(line[name] for name in names))
    return shown


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SHARPLINE_DATA")
    parser.add_argument("--data", type=Path, default=Path(data) if data else None, help="data folder ($SHARPLINE_DATA)")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="folder of the results (benchmarks/results)")
    parser.add_argument("--repeats", type=int, default=30, help="rounds (30)")
    parser.add_argument("--model", nargs="+", default=["edge-s-x4", "edge-m-x4"], help="INT8 networks of scale 4")
    parser.add_argument("--input", nargs="+", default=["480x270", "640x480"], help="WIDTHxHEIGHT (480x270 640x480)")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="threads within a call (1 2)")
    parser.add_argument("--quick", action="store_true", help="edge-s, 480x270, one thread, 5 rounds; writes no files")
    options = parser.parse_args(arguments)
    if options.quick:
        options.model, options.input, options.threads, options.repeats = options.model[:1], options.input[:1], [1], 5
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line. Exit code 0: done; 1: something failed; 2: usage."""
    options = _parsed(arguments)
    try:
        lines = run(options)
        if not options.quick:
            write_csv(options.output / "engine.csv", COLUMNS, lines)
            chart(lines, options.output / "engine.png")
    except (SharplineError, WorkerError, OSError) as error:
        print("error:", error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    out = Console(highlight=False, width=150)
    out.print(table(lines))
    for sentence in verdicts(lines):
        out.print(sentence, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
