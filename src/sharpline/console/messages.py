"""What goes over the socket: small JSON from the browser, JSON and pictures to it."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

LONGEST_MESSAGE = 16 << 10  # bytes that a browser may say at once
_PIXELS = Field(ge=0, le=1 << 20)


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Window(_Message):
    """A rectangle of the enlarged picture, in its pixels."""

    x: int = _PIXELS
    y: int = _PIXELS
    width: int = Field(ge=1, le=2048)
    height: int = Field(ge=1, le=2048)


class View(_Message):
    """What the browser shows and therefore needs."""

    type: Literal["view"]
    sources: Annotated[list[Annotated[str, Field(max_length=400)]], Field(max_length=64)]
    width: int = Field(default=640, ge=1, le=16384)  # of the picture on the screen, in the screen's own pixels
    camera: bool = False  # the camera's frame too, for the comparison
    enlarged: bool = False  # enlarge it here: the browser cannot
    heat: bool = False
    loupe: Window | None = None


class Ack(_Message):
    """Picture ``n`` has been drawn (or, where the tab was hidden meanwhile, only taken)."""

    type: Literal["ack"]
    n: int
    drawn: bool = True


class Hold(_Message):
    """Keep picture ``n``: to save it, and with ``freeze`` to stay at it."""

    type: Literal["hold"]
    n: int
    freeze: bool


class Live(_Message):
    """Go on with the newest picture."""

    type: Literal["live"]


class Acknowledge(_Message):
    """The operator has seen an alarm."""

    type: Literal["acknowledge"]
    alarm: int


Said = Annotated[View | Ack | Hold | Live | Acknowledge, Field(discriminator="type")]
_SAID: TypeAdapter[View | Ack | Hold | Live | Acknowledge] = TypeAdapter(Said)


def understood(text: str) -> View | Ack | Hold | Live | Acknowledge:
    """Reads what a browser said.

    Raises:
        pydantic.ValidationError: It is not one of the messages above.

    Example:
        >>> understood('{"type": "ack", "n": 3}').n
        3
    """
    return _SAID.validate_json(text)


@dataclass(frozen=True)
class Part:
    """One piece of a picture message.

    Attributes:
        kind: ``sr``, ``camera``, ``loupe_sr``, ``loupe_camera`` or ``heat``.
        mime: What ``data`` is; ``application/octet-stream`` for numbers.
        data: The bytes.
        facts: What else the page has to know of it.
    """

    kind: str
    mime: str
    data: bytes
    facts: Mapping[str, Any] = field(default_factory=dict)


def packed(header: Mapping[str, Any], parts: Sequence[Part]) -> bytes:
    """A picture message: length of the header (4 bytes, little end first), the header in JSON, the parts' bytes.

    Example:
        >>> packed({"n": 1}, [Part("sr", "image/jpeg", b"xyz")])[4:].decode()
        '{"n":1,"parts":[{"kind":"sr","mime":"image/jpeg","bytes":3}]}xyz'
    """
    listed = [{"kind": p.kind, "mime": p.mime, "bytes": len(p.data), **p.facts} for p in parts]
    head = json.dumps({**header, "parts": listed}, separators=(",", ":")).encode()
    return b"".join((struct.pack("<I", len(head)), head, *(p.data for p in parts)))
