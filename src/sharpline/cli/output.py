"""What verbs share for talking: the console, error lines, JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

screen = Console(stderr=True, highlight=False, soft_wrap=True)  # people: progress, summaries, errors
results = Console(highlight=False, soft_wrap=True)  # standard output: what was asked for, and nothing else


def fail(message: str) -> None:
    """Print one error line."""
    print("error:", " ".join(message.split()), file=sys.stderr)


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    print(json.dumps(value, indent=2))
