"""Sources as they are written in a line's configuration: the kind is the key that says where the pictures are from."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    field_validator,
    model_validator,
)

from sharpline.line.parts import Source
from sharpline.line.sources.address import kind_of, with_password, worker_options
from sharpline.line.sources.camera import Camera
from sharpline.line.sources.folder import FolderCamera, Seen
from sharpline.line.sources.kinds import kinds_of, of_one_kind
from sharpline.line.sources.machine import Machine, Patience
from sharpline.line.sources.pattern import PatternCamera
from sharpline.line.sources.pipe import PipeCamera, is_gstreamer
from sharpline.line.sources.pixelformats import canonical, format_of
from sharpline.line.sources.redact import redacted
from sharpline.line.sources.worker import WorkerCamera
from sharpline.line.units import Seconds

Pixels = Annotated[int, Field(ge=1, le=65535)]
Size = tuple[Pixels, Pixels]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _SourceConfig(_Strict):
    """What all kinds have.

    Attributes:
        name: On frames, events and the page.
        retry: Longest wait between two attempts to connect.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)
    retry: Seconds = 10.0


class _LiveConfig(_SourceConfig):
    """What all cameras have.

    Attributes:
        connect: How long connecting may take.
        silence: Longest time without a picture; then the connection is made anew.
        lag: A picture that comes this much later than it was taken is dropped.
    """

    connect: Seconds = 5.0
    silence: Seconds = 3.0
    lag: Seconds = 1.0

    def _patience(self) -> Patience:
        return Patience(self.connect, self.silence, self.retry, self.lag)


class UrlSource(_LiveConfig):
    """RTSP, HTTP MJPEG, a film, or a V4L2 device.

    Attributes:
        url: ``rtsp://``, ``rtsps://``, ``http://``, ``https://``, ``file://`` or the path of a film, or
            ``/dev/video0`` (also ``v4l2:/dev/v4l/by-id/...``). Shown without user and password.
        password_env: Environment variable with the password of the user in ``url``.
        transport: Of RTSP: ``tcp`` loses nothing; ``udp`` for cameras that know nothing else.
        size: Of V4L2: width and height; the device's own without.
        fps: Of V4L2: pictures a second; the device's own without.
    """

    url: str = Field(min_length=1)
    password_env: str | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    size: Size | None = None
    fps: float | None = Field(default=None, gt=0, le=1000)

    _raw: str = PrivateAttr()

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        kind_of(url)
        return url

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if kind_of(self.url) != "v4l2" and (self.size or self.fps):
            raise ValueError("'size' and 'fps' are for /dev/video devices; other cameras are set up in the camera")
        if self.password_env is not None and "@" not in self.url:
            raise ValueError("'password_env' needs a user in the address: rtsp://user@host/path")
        return self

    def model_post_init(self, context: Any) -> None:
        """From here on, what everybody sees has no password in it."""
        self._raw, self.__dict__["url"] = self.url, redacted(self.url)

    def source(self, replay: bool) -> Machine:
        """The source itself. A film plays once, at its own rate (a replay: as fast as it is taken), and ends."""
        film = kind_of(self._raw) == "film"

        def camera() -> Camera:
            options = worker_options(
                with_password(self._raw, self.password_env),
                connect=self.connect,
                silence=self.silence,
                transport=self.transport,
                size=self.size,
                fps=self.fps,
                pace=not replay,
            )
            return WorkerCamera("video", "av", options)

        patience = Patience(self.connect, self.silence, self.retry, math.inf) if film else self._patience()
        return Machine(self.name, camera, patience, ends=film, fails=film and replay)


class PipeSource(_LiveConfig):
    """A command that writes raw pictures.

    Attributes:
        pipe: Program and arguments, quoted as for a shell; no shell runs it. Shown without passwords.
        size: Width and height of its pictures.
        pixels: Their format: ``bgr24``, ``rgb24``, ``gray8``, ``gray16le``, ``yuyv``, ``nv12``, ``i420`` ...
        bits: Of 16-bit samples: how many are used (a 12-bit camera: 12).
    """

    pipe: str = Field(min_length=1)
    size: Size
    pixels: str = "bgr24"
    bits: int = Field(default=16, ge=9, le=16)

    _raw: str = PrivateAttr()

    @field_validator("pipe")
    @classmethod
    def _quoted(cls, pipe: str) -> str:
        if not shlex.split(pipe):  # raises ValueError for a quote that does not end
            raise ValueError("there is no command in it")
        return pipe

    @field_validator("pixels")
    @classmethod
    def _known(cls, pixels: str) -> str:
        format_of(pixels)
        return canonical(pixels)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        layout, (width, height) = format_of(self.pixels), self.size
        if self.pixels in ("nv12", "yuv420p") and (width % 2 or height % 2):
            raise ValueError(f"{self.pixels} needs an even width and height")
        if is_gstreamer(shlex.split(self.pipe)) and width * layout.row % 4:
            raise ValueError("GStreamer pads each row to 4 bytes: choose a width that is a multiple of 8")
        return self

    def model_post_init(self, context: Any) -> None:
        """From here on, what everybody sees has no password in it."""
        self._raw, self.__dict__["pipe"] = self.pipe, redacted(self.pipe)

    def source(self, replay: bool) -> Machine:
        """The source itself. In a replay the end of the command's output is the end of the source."""

        def camera() -> Camera:
            return PipeCamera(self._raw, self.size, self.pixels, self.bits)

        patience = Patience(self.connect, self.silence, self.retry, math.inf) if replay else self._patience()
        return Machine(self.name, camera, patience, ends=replay, fails=replay)


class GigeSource(_LiveConfig):
    """A GigE Vision camera (also USB3 Vision), by Aravis.

    Attributes:
        gige: Device id, serial number or address; empty: the first that is found.
        features: GenICam features that are set before it starts, such as ``{ExposureTime: 5000.0, Gain: 3}``.
    """

    gige: str
    features: dict[str, bool | int | float | str] = {}

    def source(self, replay: bool) -> Machine:
        """The source itself."""

        def camera() -> Camera:
            return WorkerCamera("aravis", "gi", {"device": self.gige, "features": self.features})

        return Machine(self.name, camera, self._patience())


class PicameraSource(_LiveConfig):
    """The Raspberry Pi's own camera, by picamera2.

    Attributes:
        picamera: Which one, from 0.
        size: Width and height.
        fps: Pictures a second; the camera's own without.
    """

    picamera: int = Field(ge=0)
    size: Size = (640, 480)
    fps: float | None = Field(default=None, gt=0, le=1000)

    def source(self, replay: bool) -> Machine:
        """The source itself."""

        def camera() -> Camera:
            options = {"index": self.picamera, "size": self.size, "fps": self.fps}
            return WorkerCamera("raspberry", "picamera2", options)

        return Machine(self.name, camera, self._patience())


class FolderSource(_SourceConfig):
    """A folder that pictures are put into.

    Attributes:
        folder: Watched for new files; in a replay all of its pictures are shown, by name.
    """

    folder: Path

    def source(self, replay: bool) -> Machine:
        """The source itself. It has no silence: nothing has to happen."""
        seen = Seen()
        patience = Patience(math.inf, math.inf, self.retry, math.inf)
        return Machine(
            self.name, lambda: FolderCamera(self.folder, seen, replay=replay), patience, ends=replay, fails=replay
        )


class Pattern(_Strict):
    """The test pattern.

    Attributes:
        size: Width and height.
        fps: Pictures a second.
        frames: How many, then it ends; without: no end.
    """

    size: Size = (320, 240)
    fps: float = Field(default=25.0, gt=0, le=1000)
    frames: int | None = Field(default=None, ge=1)


class PatternSource(_SourceConfig):
    """A moving test picture, for trying a line without a camera.

    Attributes:
        pattern: Its size and rate; ``{}`` will do.
    """

    pattern: Pattern

    def source(self, replay: bool) -> Machine:
        """The source itself; in a replay as fast as its pictures are taken."""
        size, fps, frames = self.pattern.size, None if replay else self.pattern.fps, self.pattern.frames
        patience = Patience(retry=self.retry, lag=math.inf)
        return Machine(self.name, lambda: PatternCamera(size, fps, frames), patience, ends=frames is not None)


SourceConfig = Annotated[
    Annotated[UrlSource, Tag("url")]
    | Annotated[PipeSource, Tag("pipe")]
    | Annotated[GigeSource, Tag("gige")]
    | Annotated[PicameraSource, Tag("picamera")]
    | Annotated[FolderSource, Tag("folder")]
    | Annotated[PatternSource, Tag("pattern")],
    Discriminator(lambda value: kinds_of(value)[0]),
    BeforeValidator(of_one_kind),
]


def make_source(config: SourceConfig, *, replay: bool = False) -> Source:
    """A source from its configuration; nothing is opened before it is started.

    Args:
        config: one of the kinds above.
        replay: keep every picture and end with the last one: films and folders run as fast as they are taken, nothing
            is too late, and a failure is the end.

    Example:
        >>> source = make_source(PatternSource(name="test", pattern=Pattern(frames=2)), replay=True)
        >>> source.name, source.state
        ('test', 'connecting')
    """
    return config.source(replay)
