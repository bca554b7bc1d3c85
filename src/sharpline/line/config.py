"""The configuration of a line: YAML in, a checked :class:`LineConfig` out, errors with the line they are on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sharpline.errors import UsageError
from sharpline.line.sinks.config import DetectorConfig, OutboxConfig, SinkConfig
from sharpline.line.sources.config import SourceConfig
from sharpline.line.units import Seconds
from sharpline.runtime.catalog import Precision
from sharpline.runtime.network import EngineChoice
from sharpline.settings import blame, read_settings


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _inside(region: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    left, top, width, height = region
    if left < 0 or top < 0 or width < 1 or height < 1:
        raise ValueError("a region is [left, top, width, height] in camera pixels, width and height 1 or more")
    return region


Region = Annotated[tuple[int, int, int, int], AfterValidator(_inside)]


class FlowConfig(_Strict):
    """How frames travel.

    Attributes:
        mode: ``live``: the newest frame of each camera counts, older ones are dropped and counted. ``replay``: every
            frame is enlarged by the model, sources wait; the line ends with its sources.
        deadline: Live: a frame that is older before it is enlarged is dropped as ``late``; an enlargement has to
            take less.
        rate: Live: frames a second that every camera has to get, or ``camera`` for all it delivers. What the model
            cannot do in that time is done by the next way of the ladder.
        ladder: What follows the model when the machine is too slow, best first: names of models of its scale,
            ``bicubic`` (same size, nothing learned), ``passthrough`` (the frame as it is). By default the smaller
            embedded models, ``bicubic`` and ``passthrough``; ``[]`` for none.
        climb_after: Time without a change before a better way is tried again.
        tile: Side in camera pixels of the tiles that are not enlarged again while they do not change; 0 does
            everything anew.
        noise: Levels (of 255; at 16 bits of 65535) that a pixel of an unchanged tile may differ by. 0 is exact.
        regions: By camera, rectangles [left, top, width, height] in camera pixels that the model enlarges; the rest
            of the picture is bicubic. Cameras that are not named are enlarged whole.
        threads: Processor threads of the model; by default all cores.
    """

    mode: Literal["live", "replay"] = "live"
    deadline: Seconds = 0.5
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["camera"] = 5.0
    ladder: list[str] | None = None
    climb_after: Seconds = 10.0
    tile: int = Field(default=64, ge=0)
    noise: int = Field(default=0, ge=0)
    regions: dict[str, list[Region]] = {}
    threads: int | None = Field(default=None, ge=1)


class GuardConfig(_Strict):
    """What is out of bounds.

    Attributes:
        consistency: Levels of 255 by which the worst 8 x 8 block of the result, shrunk again, may differ from the
            camera's frame. The embedded networks stay below 9 on photographs, bicubic below 16 on text.
        every: Every so many frames of a camera are measured.
        frozen: Identical frames for so long are an alarm; null for a camera that may be that quiet.
        age: A result that is older, counted from the capture, is not shown as live.
    """

    consistency: float = Field(default=20.0, gt=0)
    every: int = Field(default=1, ge=1)
    frozen: Seconds | None = 10.0
    age: Seconds = 2.0


class ViewConfig(_Strict):
    """The operator's page.

    Attributes:
        host: Address to listen on. Anything but loopback needs ``token_env``.
        port: TCP port; 0 takes one that is free.
        token_env: Environment variable with the token that a browser has to give.
        certificate: PEM file with the certificate chain, for TLS; with ``key``.
        key: PEM file with its private key.
        quality: JPEG quality of the pictures.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    token_env: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    quality: int = Field(default=90, ge=90, le=100)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("'certificate' and 'key' belong together: give both or neither")
        return self


class LineConfig(_Strict):
    """A production line, whole. Unknown keys are refused.

    Attributes:
        sources: The cameras, each with a name of its own. A file has to name one or more.
        model: Name of an embedded model or path of an ``.onnx`` file.
        engine: What computes it and the models of the ladder: ``auto`` takes the fastest there is here.
        precision: ``auto``, ``int8`` or ``fp32``: as :class:`~sharpline.runtime.upscaler.Upscaler` takes it.
        view: The operator's page; null for none.
        sinks: Who gets the results.
        outbox: Where events wait for receivers that are away.
        detector: The fault detector; null for none.
    """

    sources: list[SourceConfig] = []
    model: str = Field(default="edge-s-x4", min_length=1)
    engine: EngineChoice = "auto"
    precision: Precision = "auto"
    flow: FlowConfig = FlowConfig()
    guard: GuardConfig = GuardConfig()
    view: ViewConfig | None = ViewConfig()
    sinks: list[SinkConfig] = []
    outbox: OutboxConfig = OutboxConfig()
    detector: DetectorConfig | None = None

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources are called {twice[0]!r}: give each a name of its own")
        unknown = sorted(set(self.flow.regions) - set(names))
        if unknown and names:
            raise ValueError(f"flow.regions names {unknown[0]!r}, and the sources are {', '.join(names)}")
        return self


def load_line(path: Path | str) -> LineConfig:
    """Reads the configuration of a line.

    Args:
        path: YAML file.

    Raises:
        UsageError: No such file, not YAML, unknown key (with the nearest name), wrong type or value (with the line).
    """
    config = read_settings(Path(path), LineConfig)
    if not config.sources:
        raise UsageError(f"{path}: there are no sources; name at least one camera ('sharpline line init' shows how)")
    return config


def parse_line(content: dict[str, Any]) -> LineConfig:
    """The configuration that a mapping is, as :func:`load_line` reads it from a file.

    Raises:
        UsageError: Unknown key or wrong value.
    """
    try:
        return LineConfig(**content)
    except ValidationError as error:
        raise UsageError(f"the line's configuration: {blame(error, LineConfig)[1]}") from None
