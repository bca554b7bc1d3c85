"""A line at work: cameras, the upscaler, the guard, a detector and sinks, held together and kept alive."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from sharpline.errors import UsageError
from sharpline.line import guard, memory
from sharpline.line.alarms import Alarm, Alarms
from sharpline.line.assembly import make_parts, make_rungs
from sharpline.line.board import Board
from sharpline.line.config import LineConfig
from sharpline.line.detecting import Detecting
from sharpline.line.flow.enlarging import REGION, Enlarging
from sharpline.line.flow.handover import Handover
from sharpline.line.flow.ladder import Ladder
from sharpline.line.flow.mailboxes import Mailboxes
from sharpline.line.frame import Result
from sharpline.line.metrics import Metrics
from sharpline.line.parts import Detector, Sink, Source, SourceState, check_parts
from sharpline.line.supervision import Loop, stop_all
from sharpline.line.tally import Tally
from sharpline.line.watch import STUCK, Watch

_log = logging.getLogger(__name__)
_KINDS = (*guard.KINDS, "model", REGION)


class Line:
    """Cameras in, enlarged frames out.

    Args:
        config: What the line is made of; see :func:`sharpline.line.config.load_line`.
        sources: More cameras beside the configured ones, objects of yours that do what
            :class:`sharpline.line.parts.Source` says.
        sinks: More receivers beside the configured ones.
        detector: A detector of yours in place of the configured one.

    Raises:
        ModelError: The model cannot be used.
        UsageError: The configuration cannot be meant, or an outbox is in use by another process.

    Example:
        >>> import time
        >>> from sharpline.line.config import parse_line
        >>> from sharpline.line.conveyor import conveyor
        >>> config = parse_line({"model": "bicubic", "view": None})
        >>> with Line(config, sources=[conveyor("belt", 64, 48)]) as line:
        ...     while line.latest("belt") is None:
        ...         time.sleep(0.01)
        ...     result = line.latest("belt")
        >>> result.method, result.sr.shape
        ('bicubic', (192, 256, 3))
    """

    def __init__(
        self,
        config: LineConfig,
        *,
        sources: Sequence[Source] = (),
        sinks: Sequence[Sink] = (),
        detector: Detector | None = None,
    ) -> None:
        memory.settle()  # models and parts begin threads
        flow, live = config.flow, config.flow.mode == "live"
        self.config = config
        check_parts(sources, sinks, detector)
        rungs = make_rungs(config)
        self._model = rungs[0]
        parts = make_parts(config)
        self.sources = {source.name: source for source in (*parts.sources, *sources)}
        self.sinks = [*parts.sinks, *sinks]
        self._outbox = parts.outbox
        if not self.sources:
            parts.close()
            raise UsageError("a line needs at least one source")
        self._alarms = Alarms()
        self._board = Board(self.names, config.guard.age if live else None)
        self._boxes = Mailboxes(self.names, live=live, deadline=flow.deadline)
        self._enlarging = Enlarging(
            self._boxes,
            rungs,
            Ladder(len(rungs), flow.climb_after),
            guard.Guard(config.guard, live=live),
            self._finished,
            deadline=flow.deadline,
            rate=flow.rate if live else None,
        )
        self._upscaler = Loop("upscaler", self._enlarging.step)
        self._ways = [Handover(sink.name, sink.accept, live=live, depth=4) for sink in self.sinks]
        chosen = detector or parts.detector
        self._detecting = None if chosen is None else Detecting(chosen, self._answered, self._alarms, live=live)
        self._tally = Tally(self.names)
        self.watch = Watch(
            sources=self.sources,
            sinks=self.sinks,
            ways=self._ways,
            boxes=self._boxes,
            enlarging=self._enlarging,
            upscaler=self._upscaler,
            detecting=self._detecting,
            alarms=self._alarms,
            board=self._board,
            tally=self._tally,
            patience=max(STUCK, 4 * flow.deadline) if live else math.inf,
        )
        self._metrics = Metrics(self.watch)
        self._watching = Loop("watch", self.watch.look)
        self._started = False
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Opens sinks and cameras and begins. Once."""
        self._started = True
        for sink in self.sinks:
            sink.start()
        for way in self._ways:
            way.start()
        if self._detecting is not None:
            self._detecting.start()
        self._upscaler.start()
        for source in self.sources.values():
            source.start(self._boxes.put)
        self._watching.start()
        _log.info("the line runs: %s, enlarged by %s", ", ".join(self.sources), self._model.name)

    def stop(self, timeout: float = 5.0) -> None:
        """Closes the cameras, finishes what is under way, lets the sinks keep what is left. May be called twice.

        Args:
            timeout: Seconds for each of: the cameras together, the upscaler, the detector, the sinks together.
        """
        with self._lock:
            if self._stopped.is_set():
                return
            self._stopped.set()
        if not self._started:
            self._close()
            return
        self._watching.stop(timeout)
        self._boxes.close()  # first: in replay a source may be waiting to deliver
        stop_all([source.stop for source in self.sources.values()], timeout)
        self._upscaler.stop(timeout)
        if self._detecting is not None:
            self._detecting.stop(timeout)
        stop_all([way.stop for way in self._ways], timeout)
        stop_all([sink.stop for sink in self.sinks], timeout)
        self.watch.stopped()
        self._close()
        _log.info("stopped")

    def _close(self) -> None:
        if self._detecting is not None:
            self._detecting.close()
        if self._outbox is not None:
            self._outbox.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the line has nothing left to do: all its sources are closed and every frame has arrived.

        Args:
            timeout: Seconds to wait at most; None waits on.

        Returns:
            Whether it came to its end (a live camera has none), or was stopped.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self._stopped.is_set() and not self._done():
            left = 0.1 if end is None else min(0.1, end - time.monotonic())
            if left <= 0:
                return False
            self._stopped.wait(left)
        return True

    def _done(self) -> bool:
        return (
            all(source.state == "closed" for source in self.sources.values())
            and self.watch.drained()
            and (self._detecting is None or self._detecting.idle())
            and all(way.idle() for way in self._ways)
        )

    # The way of a result.

    def _finished(self, result: Result, problems: Mapping[str, str]) -> None:
        name = result.frame.source
        self._alarms.update(name, problems, _KINDS)
        self._metrics.finished(name, result.finished - result.frame.clock)
        self._board.post(result)
        if self._detecting is None:
            self._forward(result)
        else:
            self._detecting.put(result)
        self._tally.add(result)

    def _answered(self, result: Result) -> None:
        """A result comes back from the detector."""
        self._board.answer(result)
        self._forward(result)

    def _forward(self, result: Result) -> None:
        for way in self._ways:
            way.put(result)

    # What people and machines want to know.

    @property
    def names(self) -> list[str]:
        """The sources, in the order of the configuration."""
        return list(self.sources)

    @property
    def model(self) -> tuple[str, str]:
        """Name and SHA-256 of the configured model."""
        return self._model.name, self._model.model_hash

    @property
    def stale_after(self) -> float | None:
        """Age in seconds from which a picture is not live any more; None in replay."""
        return self._board.stale_after

    def subscribe(self, source: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Asks to be woken after each new result and each change of state of one source.

        Args:
            source: Its name.
            wake: Called in one of the line's threads; has to return at once.

        Returns:
            What ends the subscription; may be called twice.
        """
        return self._board.subscribe(source, wake)

    def latest(self, source: str) -> Result | None:
        """The newest result of a source, however old; None before the first.

        Where a detector is slower than the camera, its newest boxes are on it until they are stale.
        """
        return self._board.latest(source)

    def live_result(self, source: str) -> Result | None:
        """The newest result of a source, None where it is too old to be shown as live."""
        return self._board.live(source)

    def state(self, source: str) -> SourceState:
        """Where a source stands."""
        return self.sources[source].state

    def trouble(self, source: str) -> str:
        """The last thing that went wrong with a source; empty when it runs."""
        return self.sources[source].trouble

    def alarms(self) -> list[Alarm]:
        """All that are not both over and acknowledged, oldest first."""
        return self._alarms.listed()

    def acknowledge(self, number: int) -> bool:
        """An operator has seen an alarm. False where there is none of that number (any more)."""
        return self._alarms.acknowledge(number)

    def counters(self, source: str) -> Mapping[str, float]:
        """What became of the frames of a source since the start.

        ``frames`` (captured), ``results`` (enlarged), ``reconnects``, ``waiting``, ``dropped_<reason>``,
        ``fallbacks``, ``results_by_<method>``, ``reused_tiles`` (sum of the shares).
        """
        return self.watch.counters(source)

    def queues(self) -> Mapping[str, Mapping[str, float]]:
        """What each sink and the detector have counted, by name; after :meth:`stop` the last numbers."""
        return self.watch.queues()

    def health(self) -> list[str]:
        """What limits the line though it runs, one sentence each. Sources that are away are not in it."""
        return self.watch.health()

    def shown(self, source: str, seconds: float) -> None:
        """A screen has drawn a picture, so many seconds after its capture."""
        self._metrics.shown(source, seconds)

    def metrics(self) -> str:
        """Everything that is counted, in the text format of Prometheus."""
        return self._metrics.text()
