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
    print("error:", one_line(message), file=sys.stderr)


def say(message: str) -> None:
    """Print one line for people; file names cannot make it two, or colour it."""
    screen.print(one_line(message), markup=False)


def one_line(message: str) -> str:
    """A message without line breaks and control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(message.split()))


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    print(json.dumps(value, indent=2))
