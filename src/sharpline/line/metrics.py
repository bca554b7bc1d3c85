"""Everything that a line counts, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from sharpline.line.parts import SourceState

_BUCKETS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0, 10.0)
_THERMAL = Path("/sys/class/thermal")
_DROPPED, _METHOD = "dropped_", "results_by_"


class Counted(Protocol):
    """What a line tells its metrics."""

    @property
    def names(self) -> list[str]:
        """The sources."""

    def state(self, source: str) -> SourceState:
        """Where a source stands."""

    def counters(self, source: str) -> Mapping[str, float]:
        """Of one source, since the start."""

    def queues(self) -> Mapping[str, Mapping[str, float]]:
        """Counters of every sink, of the way to it and of the detector, by name."""

    def gauges(self) -> Mapping[str, float]:
        """Numbers of the whole line."""


class Metrics:
    """The metrics of one line.

    Args:
        line: Asked at every scrape.
    """

    def __init__(self, line: Counted) -> None:
        self._line = line
        self._registry = CollectorRegistry()
        self._latency, self._screen = (
            Histogram(f"sharpline_{name}", text, ["source"], buckets=_BUCKETS, registry=self._registry)
            for name, text in (
                ("latency_seconds", "From the capture of a frame to its enlargement."),
                ("screen_seconds", "From the capture of a frame to a browser's screen."),
            )
        )
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def finished(self, source: str, seconds: float) -> None:
        """A frame was enlarged, so many seconds after its capture."""
        self._latency.labels(source).observe(seconds)

    def shown(self, source: str, seconds: float) -> None:
        """A frame was drawn on a screen, so many seconds after its capture."""
        self._screen.labels(source).observe(seconds)

    def text(self) -> str:
        """All of them now, as Prometheus scrapes them."""
        return generate_latest(self._registry).decode()

    def collect(self) -> Iterator[Metric]:
        """What is not a histogram; called by the registry."""
        yield from _of_sources(self._line)
        yield from _of_queues(self._line.queues())
        for name, value in self._line.gauges().items():
            yield GaugeMetricFamily(f"sharpline_{name}", name.replace("_", " ").capitalize() + ".", value=value)
        heat = GaugeMetricFamily("sharpline_temperature_celsius", "Of the machine.", labels=["zone"])
        for zone, celsius in temperatures(_THERMAL):
            heat.add_metric([zone], celsius)
        yield heat


def _of_sources(line: Counted) -> Iterable[Metric]:
    running = GaugeMetricFamily("sharpline_source_running", "1 while frames come.", labels=["source"])
    families = {
        name: CounterMetricFamily(f"sharpline_{name}", text, labels=["source"])
        for name, text in (
            ("frames", "Captured."),
            ("results", "Enlarged."),
            ("fallbacks", "Enlarged by something else than the configured model."),
            ("reused_tiles", "Sum of the shares of tiles that were not enlarged again."),
            ("reconnects", "Connections made anew."),
        )
    }
    dropped = CounterMetricFamily("sharpline_dropped", "Frames lost, by reason.", labels=["source", "reason"])
    methods = CounterMetricFamily("sharpline_results_by", "Enlarged, by method.", labels=["source", "method"])
    waiting = GaugeMetricFamily("sharpline_waiting_frames", "Before the upscaler.", labels=["source"])
    for source in line.names:
        running.add_metric([source], line.state(source) == "running")
        for name, value in line.counters(source).items():
            if name.startswith(_DROPPED):
                dropped.add_metric([source, name.removeprefix(_DROPPED)], value)
            elif name.startswith(_METHOD):
                methods.add_metric([source, name.removeprefix(_METHOD)], value)
            elif name in families:
                families[name].add_metric([source], value)
            elif name == "waiting":
                waiting.add_metric([source], value)
    return [running, *families.values(), dropped, methods, waiting]


def _of_queues(queues: Mapping[str, Mapping[str, float]]) -> Iterable[Metric]:
    family = GaugeMetricFamily(
        "sharpline_sink", "What a sink counts: sent, failed, queue, outbox, ...", labels=["sink", "what"]
    )
    for sink, counters in queues.items():
        for what, value in counters.items():
            family.add_metric([sink, what], value)
    return [family]


def temperatures(folder: Path) -> list[tuple[str, float]]:
    """Names and degrees Celsius of the machine's thermal zones; those that cannot be read are left out.

    Example:
        >>> temperatures(Path("/no/such/folder"))
        []
    """
    found = []
    for zone in sorted(folder.glob("thermal_zone*")):
        try:
            kind, degrees = (zone / "type").read_text().strip(), int((zone / "temp").read_text()) / 1000
        except (OSError, ValueError):
            continue
        found.append((f"{zone.name.removeprefix('thermal_zone')}-{kind}", degrees))
    return found
