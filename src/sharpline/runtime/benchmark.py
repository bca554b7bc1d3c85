"""Measures models on the machine that it runs on: each in a process of its own, all of them taking turns."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from sharpline import __version__
from sharpline.errors import ModelError, UsageError
from sharpline.pixels.atomic import whole_file
from sharpline.runtime.benchmark_worker import board_script
from sharpline.runtime.sensors import Energy, Throttling, device, governor, temperature

_SLICE = 0.5  # seconds of a turn
_LEAST = 3  # frames for each model, however slow it is
_IN_FOLDERS = {"ort": "onnxruntime"}  # what a board's script calls an engine
Size = tuple[int, int]


@dataclass(frozen=True)
class Subject:
    """What is to be measured.

    Attributes:
        kind: how it is opened: ``upscaler``, ``tflite`` or ``folder``.
        model: name or file; of a folder the file's name in it.
        engine: ``auto`` or an engine's name.
        threads: of a run.
        input: width and height in LR pixels.
        folder: of a board.
    """

    kind: str
    model: str
    engine: str
    threads: int
    input: Size
    folder: str = ""


@dataclass(frozen=True)
class Row:
    """What was measured: one line of the CSV file. Empty where the system does not tell.

    Attributes:
        date: in UTC.
        machine: board and processor.
        version: of Sharpline.
        model, engine, precision, scale: what ran.
        input: width and height of the frame in LR pixels.
        threads: of a run.
        frames: how many were timed, after a warm-up.
        ms_p50, ms_p95, ms_p99: of a frame, array to array.
        fps: frames a second at the median.
        start_s: from the start of the process to the end of the first frame.
        peak_memory_mb: of the process.
        joules_per_frame: of the whole processor or board, while it ran.
        energy_source: what told it.
        governor: of the processor's clock.
        temperature_c: of the hottest zone, at the end.
        throttled: whether the machine slowed down meanwhile: ``yes`` or ``no``.
    """

    date: str
    machine: str
    version: str
    model: str
    engine: str
    precision: str
    scale: int
    input: str
    threads: int
    frames: int
    ms_p50: float
    ms_p95: float
    ms_p99: float
    fps: float
    start_s: float
    peak_memory_mb: float
    joules_per_frame: float | None
    energy_source: str
    governor: str
    temperature_c: float | None
    throttled: str


def subjects(models: Sequence[str], engines: Sequence[str], size: Size, threads: int) -> list[Subject]:
    """Every model in every engine.

    Args:
        models: names, ``.onnx`` files, ``.tflite`` files, folders of boards.
        engines: that were asked for; none: the best for names and files, all that a folder's files run in.
        size: width and height in LR pixels.
        threads: of a run.

    Raises:
        ModelError: a folder is not a board's.
        UsageError: a folder has no file for these engines.
    """
    found = []
    for model in models:
        path = Path(model)
        if path.is_dir():
            found += _in_folder(path, engines, size, threads)
        else:
            kind = "tflite" if path.suffix.lower() == ".tflite" else "upscaler"
            found += [Subject(kind, model, engine, threads, size) for engine in engines or ["auto"]]
    return found


def _in_folder(folder: Path, engines: Sequence[str], size: Size, threads: int) -> list[Subject]:
    if not (folder / "run.py").is_file() or not (folder / "SHA256SUMS").is_file():
        raise ModelError(f"{folder}: is not a board's folder (run.py, SHA256SUMS); sharpline export --board makes one")
    script = board_script(folder)
    try:
        pairs = [(name, engine) for name, engine, _ in script.candidates(script.listed())]
    except script.RunError as error:
        raise ModelError(f"{folder}: {error}") from error
    wanted = {_IN_FOLDERS.get(engine, engine) for engine in engines}
    pairs = [(name, engine) for name, engine in pairs if not wanted or engine in wanted]
    if not pairs:
        raise UsageError(f"{folder}: has no file for {', '.join(engines) or 'any engine'}")
    return [Subject("folder", name, engine, threads, size, str(folder)) for name, engine in pairs]


class _Worker:
    """A model's process; see ``benchmark_worker``."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.times: list[float] = []
        self.joules: float | None = 0.0
        begin = time.perf_counter()
        command = [sys.executable, "-m", "sharpline.runtime.benchmark_worker", json.dumps(asdict(subject))]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._child = subprocess.Popen(command, text=True, **pipes)
        try:
            self.about = self._answer()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.start = time.perf_counter() - begin

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()
        self._child.communicate()

    def ask(self, line: str) -> dict[str, Any]:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(line + "\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            pass  # the answer says so
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        while line and not line.startswith("{"):  # engines talk, too
            line = self._child.stdout.readline()
        if not line:
            code = self._child.wait()
            raise ModelError(f"{self.subject.model}: {self.subject.engine} ended the process (code {code})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ModelError(answer["error"])
        return answer


def measure(
    wanted: Sequence[Subject],
    seconds: float,
    *,
    progress: Callable[[str, float], None] = lambda what, share: None,
) -> tuple[list[Row], list[str]]:
    """Measure models, each for so many seconds in short turns: a machine that gets warm gets it for all.

    Args:
        wanted: what to measure.
        seconds: for each, after a warm-up.
        progress: called with what is being done and the share that is done.

    Returns:
        Rows in the order of ``wanted``, and a sentence for each that could not be run.
    """
    energy, throttling = Energy(), Throttling()
    workers, failed = [], []
    try:
        for number, subject in enumerate(wanted):
            progress(f"starting {Path(subject.model).name} in {subject.engine}", 0.1 * number / len(wanted))
            try:
                workers.append(_Worker(subject))
                workers[-1].ask(str(min(seconds, _SLICE)))
            except ModelError as error:
                where = "" if subject.engine == "auto" else f"in {subject.engine}: "
                failed.append(f"{where}{error}")
        turns = max(1, round(seconds / _SLICE))
        for turn in range(turns):
            for worker in workers:
                progress(f"timing {worker.about['model']}", 0.1 + 0.9 * turn / turns)
                _take_turn(worker, min(seconds, _SLICE), energy)
        for worker in workers:
            while len(worker.times) < _LEAST:
                _take_turn(worker, 0.0, energy)
        heat, slow = temperature(), throttling.seen()
        return [_row(worker, energy.source, heat, slow) for worker in workers], failed
    finally:
        for worker in workers:
            worker.__exit__(None, None, None)


def _take_turn(worker: _Worker, seconds: float, energy: Energy) -> None:
    energy.start()
    answer = worker.ask(str(seconds))
    joules = energy.stop()
    worker.times += answer["times"]
    worker.joules = None if joules is None or worker.joules is None else worker.joules + joules


def _row(worker: _Worker, energy_source: str, heat: float | None, slow: bool | None) -> Row:
    about, frames = worker.about, len(worker.times)
    p50, p95, p99 = (float(np.percentile(worker.times, share)) for share in (50, 95, 99))
    return Row(
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        machine=device(),
        version=__version__,
        model=about["model"],
        engine=about["engine"],
        precision=about["precision"],
        scale=about["scale"],
        input="{}x{}".format(*about["input"]),
        threads=worker.subject.threads,
        frames=frames,
        ms_p50=round(p50, 2),
        ms_p95=round(p95, 2),
        ms_p99=round(p99, 2),
        fps=round(1000 / p50, 2),
        start_s=round(worker.start, 2),
        peak_memory_mb=round(worker.ask("")["peak_memory"] / 1e6, 1),
        joules_per_frame=None if worker.joules is None else round(worker.joules / frames, 4),
        energy_source=energy_source,
        governor=governor(),
        temperature_c=None if heat is None else round(heat, 1),
        throttled={None: "", True: "yes", False: "no"}[slow],
    )


def add_rows(path: Path, rows: Sequence[Row]) -> None:
    """Add rows to a CSV file, which is made if it is not there; it is written whole or not at all.

    Raises:
        OSError: it cannot be read or written.
        UsageError: a file with other columns is there.
    """
    columns = [field.name for field in fields(Row)]
    text = io.StringIO()
    if path.exists():
        before = path.read_text("utf-8", errors="replace")
        if before.partition("\n")[0].strip() != ",".join(columns):
            raise UsageError(f"{path}: is not a file of this version's benchmark; choose another name")
        text.write(before if before.endswith("\n") else before + "\n")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
    else:
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    with whole_file(path, overwrite=True) as file:
        file.write(text.getvalue().encode())
