"""One film file: H.264 in a fragmented MP4, which can be played up to its last fragment when its writer was killed."""

from __future__ import annotations

import json
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from sharpline.errors import UsageError
from sharpline.line.frame import Array, clear

try:
    import av
except ImportError as missing:
    raise UsageError("films need a package that is not installed: pip install 'sharpline[line]'") from missing

_FRAGMENT = 2.0  # seconds: what a kill can cost
_TICKS = 90_000  # a second: the time base
_MP4 = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
# One thread and the fastest preset: the machine is there to upscale. No look-ahead: a frame is in the file at once.
_X264 = {"preset": "ultrafast", "tune": "zerolatency", "crf": "20", "threads": "1"}

Failure = (OSError, av.error.FFmpegError)


class Film:
    """Frames of one size and one method, with a line of JSON for each in a file beside it.

    Args:
        path: Where the film is written, ``.jsonl`` of the lines.
        lines: See ``path``.
        size: Width and height of the frames.
        title: What is to be seen, for the file's metadata.
        clock: :func:`time.monotonic` of the first frame.

    Raises:
        OSError: The disk does not take it.
    """

    def __init__(self, path: Path, lines: Path, size: tuple[int, int], title: str, clock: float) -> None:
        self.path, self.lines, self.size, self.began = path, lines, size, clock
        self._last, self._key = -1, 0
        self._lines = lines.open("x")
        try:
            self._container = av.open(str(path), "w", format="mp4", options=_MP4)
        except BaseException:
            self._lines.close()
            raise
        self._container.metadata.update(title=title, encoder="Sharpline")
        self._stream = self._container.add_stream("libx264", rate=25, options=_X264)
        self._stream.width, self._stream.height = (side + side % 2 for side in size)
        self._stream.pix_fmt = "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, _TICKS)

    def add(self, image: Array, clock: float, record: dict[str, Any]) -> None:
        """Writes a frame and its line.

        Args:
            image: H x W x C of the film's size, uint8 or uint16.
            clock: When it was captured, :func:`time.monotonic`.
            record: What is known about it; ``at``, seconds into the film, is added.

        Raises:
            OSError, av.error.FFmpegError: The disk does not take it.
        """
        pixels = clear(image)
        frame = av.VideoFrame.from_ndarray(_even(pixels), format="rgb24")
        frame.pts = max(self._last + 1, round((clock - self.began) * _TICKS))
        frame.time_base = Fraction(1, _TICKS)
        if self._last < 0 or frame.pts - self._key >= _FRAGMENT * _TICKS:
            frame.pict_type = av.video.frame.PictureType.I
            self._key = frame.pts
        self._last = frame.pts
        self._container.mux(self._stream.encode(frame))
        self._lines.write(json.dumps({"at": round(frame.pts / _TICKS, 3)} | record) + "\n")
        self._lines.flush()

    def close(self) -> None:
        """Ends the file; what was written before stays playable even if that fails."""
        try:
            with suppress(*Failure):
                self._container.mux(self._stream.encode(None))
            with suppress(*Failure):
                self._container.close()
        finally:
            with suppress(OSError):
                self._lines.close()


def playable(path: Path) -> bool:
    """Whether a film has a frame that can be shown."""
    try:
        with av.open(str(path)) as container:
            return next(container.decode(video=0), None) is not None
    except Failure:
        return False


def _even(pixels: Array) -> Array:
    """H.264's colour planes have half the size: an odd side gets its last row or column twice."""
    height, width = pixels.shape[:2]
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
