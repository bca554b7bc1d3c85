"""Any command that writes raw pictures to its standard output: GStreamer, FFmpeg, rpicam-vid, nvarguscamerasrc."""

from __future__ import annotations

import shlex
import threading

import numpy as np

from sharpline.line.sources.camera import CameraError, Shot
from sharpline.line.sources.child import Child
from sharpline.line.sources.pixelformats import decode, format_of


class PipeCamera:
    """Raw pictures of a fixed size from a command. No shell runs it.

    Args:
        command: program and arguments, quoted as for a shell.
        size: width and height.
        pixels: format (:mod:`sharpline.line.sources.pixelformats`).
        bits: used bits of 16-bit samples.

    Example:
        >>> camera = PipeCamera("printf abcdef", (2, 1), "bgr24")
        >>> camera.open()
        >>> camera.read().image.tolist()
        [[[99, 98, 97], [102, 101, 100]]]
        >>> camera.close()
    """

    def __init__(self, command: str, size: tuple[int, int], pixels: str, bits: int = 16) -> None:
        self._command = quietly(shlex.split(command))
        self._size, self._pixels, self._bits = size, pixels, bits
        self._bytes = format_of(pixels).size(*size)
        self._child: Child | None = None
        self._given_up = threading.Event()

    def open(self) -> None:
        """Starts the command."""
        self._child = Child(self._command, self._given_up)

    def read(self) -> Shot | None:
        """The next picture; None when the command has ended well.

        Raises:
            CameraError: it has ended otherwise, or within a picture.
        """
        assert self._child is not None
        raw = np.empty(self._bytes, np.uint8)
        got = self._child.fill(raw)
        if 0 < got < self._bytes:
            raise CameraError(
                f"it ended within a picture, after {got} of {self._bytes} bytes; do size and pixels fit? "
                f"{self._child.last_words()}",
                damaged=1,
            )
        if got == 0 and self._child.ended_well():
            return None
        if got == 0:
            raise CameraError(f"{self._command[0]}: {self._child.last_words()}")
        return Shot(decode(raw, self._pixels, *self._size, self._bits), self._child.began)

    def interrupt(self) -> None:
        """Makes a waiting read give up."""
        self._given_up.set()

    def close(self) -> None:
        """Ends the command and all that it has started."""
        if self._child is not None:
            self._child.close()


def quietly(command: list[str]) -> list[str]:
    """The command; ``gst-launch-1.0`` with ``-q``, because it would write its remarks between the pictures.

    Example:
        >>> quietly(["gst-launch-1.0", "videotestsrc", "!", "fdsink"])[:2]
        ['gst-launch-1.0', '-q']
    """
    if is_gstreamer(command) and "-q" not in command and "--quiet" not in command:
        return [command[0], "-q", *command[1:]]
    return command


def is_gstreamer(command: list[str]) -> bool:
    """Whether the command is ``gst-launch-1.0``."""
    return bool(command) and command[0].rpartition("/")[2] == "gst-launch-1.0"
