"""The ``sharpline`` command. What it needs is loaded inside, where Ctrl-C is answered already."""

from __future__ import annotations

import sys

from sharpline.cli.loading import loading


def main() -> None:
    """Run the command line. Exit code 0: done; 1: something failed; 2: usage; 130: stopped by Ctrl-C."""
    with loading():
        from sharpline.cli.ending import run
        from sharpline.cli.verbs import app
    sys.exit(run(app))
