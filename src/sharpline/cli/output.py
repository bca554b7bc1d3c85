"""What verbs share for talking: the console, error lines, JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

screen = Console(stderr=True, highlight=False, soft_wrap=True)  # people: progress, summaries, errors
results = Console(highlight=False, soft_wrap=True)  # standard output: what was asked for, and nothing else


class _Speed(ProgressColumn):
    """Steps a second, once they are known."""

    def render(self, task: Task) -> Text:
        """As text."""
        return Text("" if task.speed is None else f"{task.speed:.1f} steps/s")


def step_bar(*, hidden: bool) -> Progress:
    """A progress bar of trainings: steps, speed, time that is gone and that is left."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=screen,
        disable=hidden,
    )


def fail(message: str) -> None:
    """Print one error line."""
    print("error:", one_line(message), file=sys.stderr)


def say(message: str) -> None:
    """Print one line for people; file names cannot make it two, or colour it."""
    screen.print(one_line(message), markup=False)


def warn(message: str) -> None:
    """Print one line of warning."""
    say(f"warning: {message}")


def one_line(message: str) -> str:
    """A message without line breaks and control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(message.split()))


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    print(json.dumps(value, indent=2))
