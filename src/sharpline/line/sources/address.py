"""What the address of a video means, and what FFmpeg has to be told to open it."""

from __future__ import annotations

import os
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from sharpline.line.sources.camera import CameraError

AddressKind = Literal["rtsp", "http", "v4l2", "film"]
_SCHEMES: dict[str, AddressKind] = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http", "file": "film"}


def kind_of(url: str) -> AddressKind:
    """What an address is.

    Raises:
        ValueError: of a kind that is not known, or without a host.

    Example:
        >>> [kind_of(url) for url in ("rtsp://10.0.0.7/ch1", "/dev/video0", "v4l2:/dev/v4l/by-id/usb-cam", "a.mp4")]
        ['rtsp', 'v4l2', 'v4l2', 'film']
    """
    scheme, found, _ = url.partition("://")
    if found:
        kind = _SCHEMES.get(scheme.lower())
        if kind is None:
            raise ValueError("it is none of rtsp://, http://, https://, file://, a path, /dev/video0")
        if kind != "film" and not urlsplit(url).hostname:
            raise ValueError(f"it names no camera: write {scheme}://host/path")
        return kind
    return "v4l2" if url.startswith(("/dev/", "v4l2:")) else "film"


def with_password(url: str, variable: str | None) -> str:
    """The address with the password that an environment variable holds.

    Args:
        url: an address, with a user where there is a password.
        variable: its name; None leaves the address as it is.

    Raises:
        CameraError: the variable is not set.
    """
    if variable is None:
        return url
    password = os.environ.get(variable)
    if password is None:
        raise CameraError(f"the environment variable {variable}, which is to hold the password, is not set")
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{quote(password, safe='')}@{host}"))


def worker_options(
    url: str,
    *,
    connect: float,
    silence: float,
    transport: str,
    size: tuple[int, int] | None,
    fps: float | None,
    pace: bool,
) -> dict[str, Any]:
    """What ``workers/video.py`` is told.

    Args:
        url: with its password.
        connect: seconds that opening may take.
        silence: seconds that a read may take.
        transport: of RTSP: ``tcp`` or ``udp``.
        size: of V4L2.
        fps: of V4L2.
        pace: show a film at its own rate.
    """
    kind = kind_of(url)
    network = {"fpsprobesize": "0", "analyzeduration": "1"}  # do not collect a second of pictures to guess the rate
    microseconds = str(int(max(connect, silence) * 1e6))
    device = {"video_size": f"{size[0]}x{size[1]}"} if size else {}
    options = {
        "rtsp": {**network, "rtsp_transport": transport, "timeout": microseconds},
        "http": {**network, "rw_timeout": microseconds},
        "v4l2": {**device, **({"framerate": f"{fps:g}"} if fps else {})},
        "film": {},
    }[kind]
    if kind == "v4l2":
        url = url.removeprefix("v4l2:")
    elif kind == "film":
        url = "file:" + url.removeprefix("file://")  # so that a colon in a name is not taken for a protocol
    return {
        "url": url,
        "format": "v4l2" if kind == "v4l2" else None,
        "options": options,
        "connect": connect,
        "silence": silence,
        "stamps": kind in ("rtsp", "v4l2"),
        "pace": pace and kind == "film",
    }
