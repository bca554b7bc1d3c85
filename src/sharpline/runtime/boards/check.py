"""Whether a board runs a model file: operator by operator, then the file as a whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sharpline.errors import ModelError
from sharpline.runtime.boards.facts import Facts, Operator
from sharpline.runtime.boards.onnx_facts import onnx_facts
from sharpline.runtime.boards.profile import Board, Special, Takes, Verdict
from sharpline.runtime.boards.rules import Finding, findings
from sharpline.runtime.boards.tflite_facts import tflite_facts

_READERS = {".onnx": onnx_facts, ".tflite": tflite_facts}


@dataclass(frozen=True)
class Row:
    """One kind of operator in a file.

    Attributes:
        operator: its name, with its version where the file says it.
        count: how often it is there.
        verdict: where it runs: on the accelerator, on the CPU, or not at all.
        reason: why.
        rewrite: what to do about it.
    """

    operator: str
    count: int
    verdict: Verdict
    reason: str
    rewrite: str


@dataclass(frozen=True)
class Report:
    """What a board makes of a file.

    Attributes:
        file: the file.
        board: the board's name.
        rows: its operators, what stops first.
        findings: what the rules for whole files say.
    """

    file: str
    board: str
    rows: list[Row]
    findings: list[Finding]

    @property
    def stops(self) -> list[str]:
        """Why the file does not run there; empty where it does."""
        operators = [f"{row.operator}: {row.reason}" for row in self.rows if row.verdict == "stops"]
        return operators + [f"{found.rule}: {found.reason}" for found in self.findings if found.verdict == "stops"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows, found = [vars(row) for row in self.rows], [vars(finding) for finding in self.findings]
        return {"file": self.file, "board": self.board, "runs": not self.stops, "operators": rows, "rules": found}


def check_file(path: Path, board: Board) -> Report:
    """Check a model file, ours or not.

    Args:
        path: an ``.onnx`` or ``.tflite`` file.
        board: the board.

    Raises:
        ModelError: it cannot be read, or is of another kind.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ModelError(f"{path}: neither an .onnx nor a .tflite file, nor a checkpoint; export the model first")
    return check_facts(reader(path), board, str(path))


def check_facts(facts: Facts, board: Board, file: str) -> Report:
    """Check what is known of a file; see :func:`check_file`."""
    takes = board.takes.get(facts.kind)
    if takes is None:
        rewrite = f"sharpline export MODEL --board {board.name}"
        return Report(file, board.name, [], [Finding("format", "stops", board.refused[facts.kind], rewrite)])
    judged = Counter[Row]()
    for operator in facts.operators:
        judged[_judged(operator, takes)] += 1
    order = {"stops": 0, "CPU": 1, "unknown": 2, "accelerator": 3}
    rows = [Row(row.operator, count, row.verdict, row.reason, row.rewrite) for row, count in judged.items()]
    rows.sort(key=lambda row: (order[row.verdict], row.operator))
    return Report(file, board.name, rows, findings(facts, board, takes))


def _judged(operator: Operator, takes: Takes) -> Row:
    shown = operator.name if operator.version is None else f"{operator.name} v{operator.version}"
    for special in takes.exceptions:
        if _fits(special, operator):
            return Row(shown, 1, special.verdict, special.reason, special.rewrite)
    lists: tuple[tuple[Verdict, list[str], str], ...] = (
        ("accelerator", takes.accelerator, ""),
        ("CPU", takes.cpu, ""),
        ("stops", takes.stops, f"{takes.by} does not take it"),
    )
    for verdict, names, reason in lists:
        if operator.name in names:
            return Row(shown, 1, verdict, reason, "")
    return Row(shown, 1, takes.others.verdict, takes.others.reason, "")


def _fits(special: Special, operator: Operator) -> bool:
    if special.operators and not any(fnmatchcase(operator.name, name) for name in special.operators):
        return False
    if special.attribute is not None:
        value = operator.attributes.get(special.attribute)
        if value is None or (special.values and value not in special.values):
            return False
    if special.above_version is not None and (operator.version or 0) <= special.above_version:
        return False
    return not special.types or bool(operator.types & set(special.types))
