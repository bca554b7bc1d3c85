"""Where a result came from: commit, machine and versions."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sharpline.lab.training.writing import written

_PACKAGES = ("sharpline", "torch", "numpy", "pillow", "onnx", "onnxruntime")


def provenance() -> dict[str, str]:
    """Commit, processor, Python and package versions, as strings."""
    facts = {"commit": commit(), "processor": processor(), "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts


def write_provenance(folder: Path, facts: Mapping[str, str], step: int) -> None:
    """Write ``provenance.json`` of a training that begins or goes on.

    What began it stays; the commit of code that goes on with it, where that is another one, is added to its own.

    Args:
        folder: of the run.
        facts: from :func:`provenance`, and what else is known.
        step: that it goes on from.
    """
    path, began = folder / "provenance.json", dict(facts)
    if step and path.exists():
        began = json.loads(path.read_text())
        if not began.get("commit", "").endswith(facts["commit"]):
            began["commit"] = f"{began.get('commit', 'unknown')}, from step {step} {facts['commit']}"
    with written(path) as file:
        file.write(json.dumps(began, indent=1).encode())


def commit() -> str:
    """Commit of the working tree that this code runs from, ``unknown`` outside a checkout."""
    here = Path(__file__).parent
    answer = subprocess.run(
        ["git", "-C", str(here), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or "unknown"


def processor() -> str:
    """Name of the processor, as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
