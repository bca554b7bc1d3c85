"""Tries the parts of a line once, before it is left alone with them."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sharpline.line.config import LineConfig
from sharpline.line.flow.rungs import Region
from sharpline.line.frame import Frame
from sharpline.line.parts import Source

_ENOUGH = 5  # frames that a camera has to give
_PATIENCE = 12.0  # seconds for them
_GLANCE = 1.0  # seconds to see whether a folder can be read
_PORTS = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True)
class Trial:
    """What came of trying one part.

    Attributes:
        part: Its name.
        works: Whether it does.
        words: What it gave, or what is wrong.
    """

    part: str
    works: bool
    words: str


def try_source(source: Source, regions: Sequence[Region] = (), *, watched: bool = False) -> Trial:
    """Starts a source, waits for a few frames, stops it.

    Args:
        source: Not started yet.
        regions: Rectangles that have to begin inside its picture.
        watched: It is a folder, into which nobody need put anything just now.

    Example:
        >>> from sharpline.line.conveyor import conveyor
        >>> try_source(conveyor("belt", 64, 48, frames=5)).works
        True
    """
    frames: list[Frame] = []
    enough = threading.Event()

    def deliver(frame: Frame) -> None:
        frames.append(frame)
        if len(frames) >= _ENOUGH:
            enough.set()

    source.start(deliver)
    end = time.monotonic() + (_GLANCE if watched else _PATIENCE)
    while time.monotonic() < end and not enough.wait(0.1) and source.state != "closed":
        pass
    trouble = source.trouble
    source.stop()
    if not frames and watched and not trouble:
        return Trial(source.name, True, "is watched; what is put into it from now on is taken")
    if not frames:
        return Trial(source.name, False, trouble or f"no picture within {_PATIENCE:g} s")
    height, width, channels = frames[0].image.shape
    depth = f"{8 * frames[0].image.dtype.itemsize} bit {'grey' if channels == 1 else 'colour'}"
    span = frames[-1].clock - frames[0].clock
    rate = f", {(len(frames) - 1) / span:.0f} frames a second" if span > 0 else ""
    outside = [list(region) for region in regions if region[0] >= width or region[1] >= height]
    wrong = f"; the region {outside[0]} lies outside (flow.regions)" if outside else ""
    return Trial(source.name, not outside, f"{width} x {height}, {depth}{rate}{wrong}")


def try_receivers(config: LineConfig) -> list[Trial]:
    """Asks whether somebody listens at each address that results go to, and whether folders can be written.

    Nothing is sent.
    """
    trials = []
    for sink in config.sinks:
        if sink.recorder is not None:
            trials.append(_folder(sink.recorder.folder))
        for kind in (sink.webhook, sink.mqtt):
            if kind is not None:
                trials.append(_address(kind.url))
    if config.detector is not None and config.detector.v2 is not None:
        trials.append(_address(config.detector.v2.url))
    return trials


def _address(url: str) -> Trial:
    parts = urlsplit(url)
    place = (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))
    name = f"{parts.scheme} {place[0]}:{place[1]}"
    try:
        with socket.create_connection(place, timeout=5):
            return Trial(name, True, "its port answers; nothing was sent")
    except OSError as error:
        return Trial(name, False, error.strerror or str(error))


def _folder(path: Path) -> Trial:
    there = path
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return Trial(f"recorder {path}", False, f"{there} is not a folder")
    writable = os.access(there, os.W_OK)
    return Trial(f"recorder {path}", writable, "can be written" if writable else f"{there} cannot be written to")
