"""Reads GigE Vision and USB3 Vision cameras with Aravis, through GObject introspection."""

from __future__ import annotations

import importlib
import time
from typing import Any, Callable  # noqa: UP035  (workers run on older Pythons, too)

_NEEDS = "GigE Vision needs Aravis: apt install python3-gi gir1.2-aravis-0.8"
_BUFFERS = 8
_WAIT = 200_000  # microseconds
# Codes of the Pixel Format Naming Convention (GenICam PFNC 2.x): name here, used bits
_FORMATS = {
    0x01080001: ("gray8", 8),
    0x01100003: ("gray16le", 10),
    0x01100005: ("gray16le", 12),
    0x01100025: ("gray16le", 14),
    0x01100007: ("gray16le", 16),
    0x02180014: ("rgb24", 8),
    0x02180015: ("bgr24", 8),
    0x0210001F: ("uyvy422", 8),
    0x02100032: ("yuyv422", 8),
    **{0x01080008 + i: (f"bayer_{tile}8", 8) for i, tile in enumerate(("grbg", "rggb", "gbrg", "bggr"))},
    **{0x0110000C + i: (f"bayer_{tile}16le", 10) for i, tile in enumerate(("grbg", "rggb", "gbrg", "bggr"))},
    **{0x01100010 + i: (f"bayer_{tile}16le", 12) for i, tile in enumerate(("grbg", "rggb", "gbrg", "bggr"))},
    **{0x0110002E + i: (f"bayer_{tile}16le", 16) for i, tile in enumerate(("grbg", "rggb", "gbrg", "bggr"))},
}


def grab(options: dict[str, Any], emit: Callable[..., None]) -> None:
    """Opens a camera and reads it until it is lost.

    Args:
        options: ``device``: id, serial number or address, empty for the first that is found; ``features``: GenICam
            features to be set, by name.
        emit: see ``__main__``.

    Raises:
        RuntimeError: whatever went wrong, in one line.
    """
    try:
        importlib.import_module("gi").require_version("Aravis", "0.8")
        Aravis = importlib.import_module("gi.repository.Aravis")
        GLib = importlib.import_module("gi.repository.GLib")
    except (ImportError, ValueError):
        raise RuntimeError(_NEEDS) from None
    try:
        _acquire(Aravis, options, emit)
    except GLib.Error as error:
        raise RuntimeError(f"GigE Vision: {error.message}") from None


def _acquire(Aravis: Any, options: dict[str, Any], emit: Callable[..., None]) -> None:
    camera = Aravis.Camera.new(options["device"] or None)
    lost = []
    camera.get_device().connect("control-lost", lambda device: lost.append(True))
    for name, value in options["features"].items():
        _set(camera, name, value)
    stream = camera.create_stream(None, None)
    if isinstance(stream, Aravis.GvStream):  # else a burst of packets finds the kernel's small buffer full
        stream.set_property("socket-buffer", Aravis.GvStreamSocketBuffer.AUTO)
    for _ in range(_BUFFERS):
        stream.push_buffer(Aravis.Buffer.new_allocate(camera.get_payload()))
    camera.start_acquisition()
    try:
        emit({"opened": True})
        number = None
        while not lost:
            buffer = stream.timeout_pop_buffer(_WAIT)
            if buffer is not None:
                number = _emit(Aravis, buffer, number, emit)
                stream.push_buffer(buffer)
    finally:
        camera.stop_acquisition()
    raise RuntimeError("GigE Vision: the control over the camera was lost; cable, power, or another program?")


def _set(camera: Any, name: str, value: Any) -> None:
    if isinstance(value, bool):
        camera.set_boolean(name, value)
    elif isinstance(value, int):
        try:
            camera.set_integer(name, value)
        except Exception:  # a feature that is a number with a point
            camera.set_float(name, float(value))
    elif isinstance(value, float):
        camera.set_float(name, value)
    else:
        camera.set_string(name, value)


def _emit(Aravis: Any, buffer: Any, before: int | None, emit: Callable[..., None]) -> int:
    """Hands a buffer on; returns its number, from which the next one's gap is counted."""
    arrived = time.monotonic()
    number = buffer.get_frame_id()
    gap = 0 if before is None else number - before - 1
    dropped = {"lost": gap} if 0 < gap < 1000 else {}  # else the camera's counter began anew
    if buffer.get_status() != Aravis.BufferStatus.SUCCESS:
        emit({"clock": arrived, "dropped": {**dropped, "damaged": 1}})
        return int(number)
    code = buffer.get_image_pixel_format() & 0xFFFFFFFF
    if code not in _FORMATS:
        raise RuntimeError(
            f"GigE Vision: pixel format 0x{code:08X} is packed or unknown; set features: {{PixelFormat: Mono8}} "
            "or Mono12, RGB8, BayerRG8 ..."
        )
    pixels, bits = _FORMATS[code]
    stamp = buffer.get_timestamp()
    head: dict[str, Any] = {"clock": arrived, "media": stamp / 1e9 if stamp else None, "dropped": dropped}
    size = [buffer.get_image_width(), buffer.get_image_height()]
    depth = {"bits": bits} if bits > 8 else {}
    emit({**head, "size": size, "pixels": pixels, **depth}, buffer.get_data())
    return int(number)
