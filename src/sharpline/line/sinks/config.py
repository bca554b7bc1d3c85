"""What a configuration says about sinks, typed and strict, and the sinks and detectors it names.

The keys are documented in docs/sinks.md. Packages of one kind only (paho, av) are imported when that kind is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sharpline.errors import UsageError
from sharpline.line.detectors.config import DetectorConfig
from sharpline.line.units import Bytes, Seconds, plain_address

if TYPE_CHECKING:
    from sharpline.line.parts import Detector, Sink
    from sharpline.line.sinks.outbox import Outbox

__all__ = ["DetectorConfig", "OutboxConfig", "SinkConfig", "make_detector", "make_sink"]

Cause = Literal["alarm", "detection", "each", "every"]
Shown = Literal["sr", "camera"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Triggers(_Strict):
    """Which frames become an event.

    Attributes:
        every: One event each such time and source, whatever the frame shows.
        on: ``alarm`` and ``detection``: a frame that has one; ``each``: every frame.
        gap: While an alarm or detection lasts, it makes an event no oftener. Its beginning always makes one.
    """

    every: Seconds | None = None
    on: list[Literal["alarm", "detection", "each"]] = ["alarm", "detection"]
    gap: Seconds = 1.0

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.every is None and not self.on:
            raise ValueError("nothing would ever be sent: give 'every' a time or name something in 'on'")
        return self


class _Events(Triggers):
    """Events that go over the network.

    Attributes:
        pictures: What is sent along as JPEG.
        timeout: How long an answer may take.
        tries: How often an event is sent that the receiver refuses for good, before it becomes a dead letter.
    """

    pictures: list[Shown] = ["sr"]
    timeout: Seconds = 10.0
    tries: int = Field(default=3, ge=1, le=100)


class WebhookConfig(_Events):
    """HTTP POST to a receiver.

    Attributes:
        url: http or https address.
        secret_env: Environment variable with the secret that signs each request; unsigned without.
    """

    url: Annotated[str, AfterValidator(lambda url: plain_address(url, ("http", "https")))]
    secret_env: str | None = None


class MqttConfig(_Events):
    """Messages to an MQTT broker, QoS 1.

    Attributes:
        url: ``mqtt://host:port`` or ``mqtts://host:port`` (TLS).
        topic: Events go there; the line's state is retained under ``<topic>/status``.
        username_env: Environment variable with the name of the user.
        password_env: Environment variable with the password.
        ca: File of certificates (PEM) that the broker's is checked against; the system's without.
        protocol: 5, or 3 for brokers that know 3.1.1 only (they cannot say that they refused an event).
    """

    url: Annotated[str, AfterValidator(lambda url: plain_address(url, ("mqtt", "mqtts")))]
    topic: str = Field(pattern=r"^[^+#\x00/$][^+#\x00]*$", max_length=1000)
    username_env: str | None = None
    password_env: str | None = None
    ca: Path | None = None
    protocol: Literal[3, 5] = 5

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.ca is not None and not self.url.startswith("mqtts:"):
            raise ValueError("'ca' belongs to mqtts://")
        if self.password_env is not None and self.username_env is None:
            raise ValueError("'password_env' needs 'username_env'")
        return self


class RecorderConfig(Triggers):
    """Films and picture pairs in a folder. ``every``, ``on`` and ``gap`` choose the pairs.

    Attributes:
        folder: Made if needed.
        video: What is filmed, each in files of its own; empty for no film.
        segment: Length of a film file.
        pairs: Format of the enlarged picture of a pair (the camera's is PNG always); ``none`` for no pairs.
        budget: The recorder's own files take no more than this; the oldest goes first.
        reserve: Left free on the disk.
    """

    folder: Path
    video: list[Shown] = ["sr"]
    segment: Seconds = 300.0
    pairs: Literal["png", "jpg", "none"] = "png"
    budget: Bytes = 10**10
    reserve: Bytes = 256 * 10**6

    @model_validator(mode="after")
    def _records(self) -> Self:
        if not self.video and self.pairs == "none":
            raise ValueError("nothing would be recorded: name something in 'video' or a format of 'pairs'")
        return self


class SinkConfig(_Strict):
    """One sink: exactly one of the kinds.

    Example:
        >>> sink = SinkConfig.model_validate({"webhook": {"url": "http://127.0.0.1:9000/events", "every": "1s"}})
        >>> sink.webhook.every, sink.webhook.on
        (1.0, ['alarm', 'detection'])
    """

    webhook: WebhookConfig | None = None
    mqtt: MqttConfig | None = None
    recorder: RecorderConfig | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(kind is not None for kind in (self.webhook, self.mqtt, self.recorder)) != 1:
            raise ValueError("a sink is one of webhook, mqtt, recorder; write each as an entry of its own")
        return self


class OutboxConfig(_Strict):
    """Where events wait until their receiver has them.

    Attributes:
        path: The file; made if needed.
        budget: What it may hold; beyond, the oldest events go, dead letters first.
        reserve: Left free on the disk, whatever the budget says.
    """

    path: Path = Path("outbox.sqlite")
    budget: Bytes = 10**9
    reserve: Bytes = 64 * 10**6


def make_sink(config: SinkConfig, outbox: Outbox | None) -> Sink:
    """Makes one sink; nothing is opened before its ``start``.

    Args:
        config: One of the kinds.
        outbox: Where its events wait; a recorder needs none.

    Raises:
        UsageError: A secret is not in the environment, a package is not installed, or the destination is taken.
    """
    if config.recorder is not None:
        from sharpline.line.sinks.recorder import Recorder

        return Recorder(config.recorder)
    if outbox is None:
        raise UsageError("webhook and mqtt need an outbox: give it a path under 'outbox'")
    from sharpline.line.sinks.eventsink import EventSink

    if config.webhook is not None:
        from sharpline.line.sinks.webhook import Webhook, place

        return EventSink(f"webhook {place(config.webhook.url)}", config.webhook, outbox, Webhook(config.webhook))
    assert config.mqtt is not None  # SinkConfig has exactly one
    from sharpline.line.sinks.mqtt import Mqtt

    name = f"mqtt {config.mqtt.url.partition('://')[2].rstrip('/')} {config.mqtt.topic}"
    return EventSink(name, config.mqtt, outbox, Mqtt(config.mqtt))


def make_detector(config: DetectorConfig) -> Detector:
    """Makes the fault detector. A model file is read at once; a server is first asked at the first frame.

    Raises:
        ModelError: The model file cannot be used.
        UsageError: The file of labels cannot be read.
    """
    if config.onnx is not None:
        from sharpline.line.detectors.onnx import OnnxDetector

        return OnnxDetector(config.onnx)
    from sharpline.line.detectors.v2 import V2Detector

    assert config.v2 is not None  # DetectorConfig has exactly one
    return V2Detector(config.v2)
