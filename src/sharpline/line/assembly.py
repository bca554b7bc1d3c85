"""From a configuration to the parts that it names."""

from __future__ import annotations

from dataclasses import dataclass

from sharpline.line.config import LineConfig
from sharpline.line.flow.rungs import Rung, ladder_of, make_rung
from sharpline.line.parts import Detector, Sink, Source
from sharpline.line.sinks.config import make_detector, make_sink
from sharpline.line.sinks.outbox import Outbox
from sharpline.line.sources.config import make_source
from sharpline.runtime.catalog import open_model


@dataclass(frozen=True)
class Parts:
    """What a line is made of, not started. ``outbox`` is None where no sink needs one."""

    sources: list[Source]
    sinks: list[Sink]
    detector: Detector | None
    outbox: Outbox | None

    def close(self) -> None:
        """Lets go of what was opened."""
        if self.detector is not None:
            self.detector.close()
        if self.outbox is not None:
            self.outbox.close()


def make_rungs(config: LineConfig) -> list[Rung]:
    """The ways of enlarging of a line, best first; its models are opened.

    Raises:
        ModelError: A model cannot be used.
        UsageError: The ladder cannot be meant, or a model is not there in the precision that is asked for.
    """
    flow = config.flow
    scale = open_model(config.model).card.scale
    return [
        make_rung(
            name,
            scale,
            threads=flow.threads,
            regions=flow.regions,
            tile=flow.tile,
            noise=flow.noise,
            engine=config.engine,
            precision=config.precision,
        )
        for name in ladder_of(config.model, flow.ladder)
    ]


def make_parts(config: LineConfig) -> Parts:
    """Sources, sinks and detector of a line; nothing is connected yet, only the outbox' file is opened.

    Raises:
        UsageError: A part is not installed, or an outbox is in use by another process.
    """
    sources = [make_source(source, replay=config.flow.mode == "replay") for source in config.sources]
    detector = None if config.detector is None else make_detector(config.detector)
    outbox = Outbox(config.outbox) if any(sink.recorder is None for sink in config.sinks) else None
    try:
        sinks = [make_sink(sink, outbox) for sink in config.sinks]
    except BaseException:
        if outbox is not None:
            outbox.close()
        raise
    return Parts(sources, sinks, detector, outbox)
