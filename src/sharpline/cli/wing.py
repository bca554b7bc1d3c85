"""Verbs that learn need the lab's packages; the message when they are absent."""

from __future__ import annotations

from importlib.util import find_spec

from sharpline.errors import UsageError


def need_lab(verb: str) -> None:
    """Raise a one-line error when torch is not installed."""
    if find_spec("torch") is None:
        raise UsageError(f"sharpline {verb} needs the lab's packages: pip install 'sharpline[lab]'")
