"""The event: what a receiver is told about a frame. Its JSON schema stands in docs/sinks.md."""

from __future__ import annotations

import base64
import json
import math
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal

import numpy as np
import simplejpeg
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from sharpline.line.frame import Array, Result, clear
from sharpline.line.sinks.config import Cause, Shown
from sharpline.line.sinks.trigger import Occasion

_QUALITY = 90
_Size = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
_Box = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Found(_Strict):
    """One detection. Boxes are left, top, right, bottom in pixels."""

    label: str
    score: Annotated[float, Field(ge=0, le=1)]
    box: Annotated[_Box, Field(description="in the enlarged frame")]
    camera_box: Annotated[_Box, Field(description="in the camera's frame")]


class Record(_Strict):
    """What is known about one enlarged frame."""

    time: Annotated[str, Field(description="when the camera captured it, UTC, ISO 8601")]
    source: str
    frame: Annotated[int, Field(ge=0, description="sequence number within the source")]
    method: Annotated[str, Field(description="what made the pixels: a model's name, bicubic or passthrough")]
    model_hash: Annotated[_Sha256 | None, Field(description="SHA-256 of the model file; null where none was used")]
    fallback: Annotated[bool, Field(description="true: 'method' is not the configured model")]
    scale: Annotated[int, Field(ge=1)]
    size: Annotated[_Size, Field(description="width, height of the enlarged frame")]
    camera_size: Annotated[_Size, Field(description="width, height of the camera's frame")]
    consistency: Annotated[
        Annotated[FiniteFloat, Field(ge=0)] | None,
        Field(description="largest mean difference of an 8 x 8 block from the camera's frame, levels of 255"),
    ]
    alarms: list[str]
    detections: list[Found]
    dropped: Annotated[
        dict[str, Annotated[int, Field(ge=0)]], Field(description="frames lost since the event before, by reason")
    ]
    latency: Annotated[float, Field(ge=0, description="seconds from capture until it was enlarged")]


class Picture(_Strict):
    """A picture that is sent along."""

    type: Literal["image/jpeg"] = "image/jpeg"
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    sha256: Annotated[_Sha256, Field(description="of the decoded bytes")]
    data: Annotated[str, Field(description="the file, base64")]


class Pictures(_Strict):
    """Pictures by what they show. Pixels that the configured model did not make never stand under ``sr``."""

    sr: Annotated[Picture | None, Field(description="made by the configured model")] = None
    fallback: Annotated[Picture | None, Field(description="made by something else: see 'method'")] = None
    camera: Annotated[Picture | None, Field(description="as the camera gave it")] = None


class Event(Record):
    """What a receiver gets."""

    version: Annotated[Literal[1], Field(description="of this schema")] = 1
    id: Annotated[str, Field(description="UUID, the same however often the event is sent")]
    cause: Cause
    pictures: Pictures


@dataclass(frozen=True)
class Parcel:
    """An event as it lies in the outbox.

    Attributes:
        id: Idempotency key.
        document: JSON of an :class:`Event` whose pictures lack their ``data``.
        pictures: The JPEG files by name.
    """

    id: str
    document: str
    pictures: dict[str, bytes]

    def body(self) -> bytes:
        """The event's JSON, whole: what is sent."""
        document = json.loads(self.document)
        for name, data in self.pictures.items():
            document["pictures"][name]["data"] = base64.b64encode(data).decode()
        return json.dumps(document, separators=(",", ":")).encode()


def record_of(result: Result, occasion: Occasion) -> Record:
    """What is known about a result. A number that is not finite is left out, never passed on.

    Raises:
        ValueError: The result cannot be described (pydantic's words).
    """
    frame, consistency = result.frame, result.consistency
    return Record(
        time=stamp(frame.captured),
        source=frame.source,
        frame=frame.number,
        method=result.method,
        model_hash=result.model_hash or None,
        fallback=result.fallback,
        scale=result.scale,
        size=_size(result.sr),
        camera_size=_size(frame.image),
        consistency=consistency if consistency is not None and math.isfinite(consistency) else None,
        alarms=list(result.alarms),
        detections=[Found(label=d.label, score=d.score, box=d.box, camera_box=d.camera_box) for d in result.detections],
        dropped=dict(occasion.dropped),
        latency=max(0.0, result.finished - frame.clock),
    )


def parcel_of(result: Result, occasion: Occasion, shown: list[Shown]) -> Parcel:
    """Makes the event of a result: its key is drawn here, once, and its pictures are encoded.

    Args:
        result: The enlarged frame.
        occasion: Why it is an event.
        shown: The pictures that go along.

    Raises:
        ValueError: The result cannot be described or encoded.
    """
    files, notes = dict[str, bytes](), dict[str, dict[str, object]]()
    for what in dict.fromkeys(shown):
        name = what if what == "camera" or not result.fallback else "fallback"
        image = result.frame.image if what == "camera" else result.sr
        files[name] = jpeg(image, legend(result, what))
        width, height = _size(image)
        digest = sha256(files[name]).hexdigest()
        notes[name] = {"type": "image/jpeg", "width": width, "height": height, "sha256": digest}
    key = str(uuid.uuid4())
    head = {"version": 1, "id": key, "cause": occasion.cause}
    document = head | record_of(result, occasion).model_dump(mode="json") | {"pictures": notes}
    return Parcel(key, json.dumps(document, allow_nan=False), files)


def legend(result: Result, what: Shown) -> str:
    """One line that says what a picture is; it travels inside the file.

    Example:
        >>> import numpy as np
        >>> from sharpline.line.frame import Frame
        >>> frame = Frame("cam1", 7, np.zeros((2, 2, 3), np.uint8), captured=0.0, clock=0.0)
        >>> legend(Result(frame, np.zeros((8, 8, 3), np.uint8), 4, "bicubic", "", True, 0.0, 0.0), "sr")
        'cam1 frame 7, 1970-01-01T00:00:00.000Z: bicubic x4 (fallback, not the configured model)'
    """
    made = "camera" if what == "camera" else f"{result.method} x{result.scale}"
    note = " (fallback, not the configured model)" if what == "sr" and result.fallback else ""
    return f"{result.frame.source} frame {result.frame.number}, {stamp(result.frame.captured)}: {made}{note}"


def jpeg(image: Array, comment: str) -> bytes:
    """A picture as JPEG, quality 90, full colour resolution, with a comment (ITU-T T.81, B.2.4.5)."""
    data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(clear(image)), _QUALITY, "RGB", "444", fastdct=False)
    note = comment.encode("utf-8", "replace")[:60_000]
    return data[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2, "big") + note + data[2:]


def stamp(moment: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _size(image: Array) -> tuple[int, int]:
    return image.shape[1], image.shape[0]
