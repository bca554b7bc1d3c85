"""Reads RTSP, HTTP MJPEG, films and V4L2 devices with PyAV."""

from __future__ import annotations

import time
from typing import Any, Callable  # noqa: UP035  (workers run on older Pythons, too)

_WORDS = {
    "HTTPUnauthorizedError": "user or password is wrong or missing (401)",
    "HTTPForbiddenError": "this user may not see the camera (403)",
    "HTTPNotFoundError": "the camera knows no such path (404); check the address behind the host",
    "ConnectionRefusedError": "nobody listens there (connection refused); check host, port and power",
    "HTTPServerError": "the camera answers with an error of its own (5xx); restart it, or look at its own log",
    "FileNotFoundError": "no such file or device",
    "PermissionError": "no permission to open it; devices need a user in the group video",
    "InvalidDataError": "what it sends is no video that can be read; check the port and the kind of address",
    "TimeoutError": "no answer in time",
    "ExitError": "no answer in time",
    "OSError": "the connection broke",
    "ConnectionResetError": "the connection broke",
    "StreamNotFoundError": "it has no stream of pictures",
}


def grab(options: dict[str, Any], emit: Callable[..., None]) -> None:
    """Opens and reads until the end.

    Args:
        options: ``url``; ``format`` and ``options`` for FFmpeg; ``connect`` and ``silence``, seconds; ``stamps``:
            whether its time stamps tell when a picture was taken; ``pace``: films at their own rate.
        emit: see ``__main__``.

    Raises:
        RuntimeError: whatever went wrong, in one line.
    """
    try:
        import av
        import numpy  # noqa: F401  (now, not at the first picture, while the next ones wait)
    except ImportError:
        raise RuntimeError("videos need PyAV: pip install 'sharpline[line]'") from None
    try:
        timeout = (options["connect"], options["silence"])
        with av.open(
            options["url"], format=options["format"], options=options["options"], timeout=timeout
        ) as container:
            _read(av, container, options, emit)
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise RuntimeError(_WORDS.get(type(error).__name__) or getattr(error, "strerror", None) or str(error)) from None


def _read(av: Any, container: Any, options: dict[str, Any], emit: Callable[..., None]) -> None:
    if not container.streams.video:
        raise RuntimeError(_WORDS["StreamNotFoundError"])
    stream = container.streams.video[0]
    stream.thread_type = "SLICE" if options["stamps"] else "AUTO"  # threads by frame would keep frames back
    # Without this, FFmpeg fills what is missing of a picture with the one before, and says nothing
    stream.codec_context.options = {"err_detect": "explode"}
    emit({"opened": True})
    dropped, start, whole = 0, None, True
    for packet in container.demux(stream):
        arrived = time.monotonic()
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            dropped, whole = dropped + 1, False
            continue
        for frame in frames:
            whole = (whole or frame.key_frame) and not frame.is_corrupt
            if not whole:  # also what was predicted from a damaged one
                dropped += 1
                continue
            if options["pace"] and frame.time is not None:
                start = time.monotonic() - frame.time if start is None else start
                time.sleep(max(0.0, start + frame.time - time.monotonic()))
                arrived = time.monotonic()
            _emit(frame, arrived, frame.time if options["stamps"] else None, dropped, emit)
            dropped = 0


def _emit(frame: Any, arrived: float, media: float | None, dropped: int, emit: Callable[..., None]) -> None:
    deep = any(component.bits > 8 for component in frame.format.components)
    grey = len(frame.format.components) == 1 and frame.format.name.startswith("gray")
    pixels = ("gray16le" if deep else "gray8") if grey else ("rgb48le" if deep else "rgb24")
    head = {"clock": arrived, "media": media, "dropped": {"damaged": dropped} if dropped else {}}
    image = frame.to_ndarray(format="gray" if pixels == "gray8" else pixels)
    emit({**head, "size": [frame.width, frame.height], "pixels": pixels}, image)
