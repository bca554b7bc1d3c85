"""What verbs share for talking: the console, error lines, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
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


@contextmanager
def step_bar(*, hidden: bool) -> Iterator[Progress]:
    """A progress bar of trainings: steps, speed, time that is gone and that is left. An error takes it away."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=screen,
        disable=hidden or not screen.is_terminal,
    )
    with bar:
        try:
            yield bar
        except BaseException:
            bar.live.transient = True
            raise


def show_step(bar: Progress, task: TaskID, step: int, steps: int, words: str) -> None:
    """Show how far a training is. One that goes on where it stopped did not do the steps before just now."""
    if step > bar.tasks[bar.task_ids.index(task)].completed + 1:
        bar.reset(task, completed=step)
    bar.update(task, completed=step, total=steps, description=words)


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
