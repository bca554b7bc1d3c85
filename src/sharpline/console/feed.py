"""What the operator's page needs from behind it: a running line, or still pictures. Both only have to fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sharpline.line.frame import Result
from sharpline.line.parts import SourceState


class Alarm(Protocol):
    """Something that an operator has to see. It stays in the list until it is over *and* acknowledged."""

    @property
    def number(self) -> int:
        """Its own, never given twice while the line runs."""

    @property
    def source(self) -> str:
        """The camera it is about; empty for the whole line."""

    @property
    def text(self) -> str:
        """One short sentence."""

    @property
    def raised(self) -> float:
        """When it began, by :func:`time.monotonic`."""

    @property
    def active(self) -> bool:
        """Whether the reason still lasts."""

    @property
    def acknowledged(self) -> bool:
        """Whether somebody has seen it."""


class Feed(Protocol):
    """A line as the page sees it. Every method may be called from any thread and returns at once."""

    @property
    def names(self) -> Sequence[str]:
        """The sources, in the order of the configuration; for stills the file names."""

    @property
    def stale_after(self) -> float | None:
        """Age in seconds from which a picture may not be shown as live; None for stills, which do not age."""

    def subscribe(self, source: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Asks to be woken after each new result and each change of state of one source.

        Args:
            source: One of ``names``.
            wake: Called in a thread of the feed, without arguments; returns at once and does not raise.

        Returns:
            What ends the subscription; may be called twice.
        """

    def latest(self, source: str) -> Result | None:
        """The newest result, None before the first."""

    def state(self, source: str) -> SourceState:
        """Where the source stands."""

    def trouble(self, source: str) -> str:
        """The last thing that went wrong with the source, one line; empty when it runs."""

    def counters(self, source: str) -> Mapping[str, float]:
        """Since the start: ``frames`` (captured), ``results`` (enlarged), ``reconnects``, ``dropped_<reason>``."""

    def alarms(self) -> Sequence[Alarm]:
        """All that are not both over and acknowledged, oldest first."""

    def acknowledge(self, number: int) -> bool:
        """An operator has seen an alarm. False where there is none of that number (any more)."""

    def shown(self, source: str, seconds: float) -> None:
        """A browser says that it has drawn a picture, so many seconds after its capture (for the metrics)."""

    def health(self) -> Sequence[str]:
        """What limits the line though it runs (a fallback, an outbox over its budget ...), one sentence each.

        Sources that are away and pictures that are too old are not in it: the console sees those by itself.
        """

    def metrics(self) -> str:
        """Everything that is counted, in the text format of Prometheus."""


class ViewSettings(Protocol):
    """How the page is served; ``ViewConfig`` of a line's configuration has this shape."""

    @property
    def host(self) -> str:
        """Address to listen on; anything but loopback needs a token."""

    @property
    def port(self) -> int:
        """TCP port, 0 for any that is free."""

    @property
    def token_env(self) -> str | None:
        """Environment variable with the token that a browser has to give; None on loopback only."""

    @property
    def certificate(self) -> Path | None:
        """PEM file with the certificate chain; with ``key``, or neither."""

    @property
    def key(self) -> Path | None:
        """PEM file with the certificate's private key."""

    @property
    def quality(self) -> int:
        """JPEG quality of the pictures, 90..100."""
