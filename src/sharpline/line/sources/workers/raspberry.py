"""Reads the Raspberry Pi's own cameras with picamera2."""

from __future__ import annotations

import importlib
import time
from typing import Any, Callable  # noqa: UP035  (workers run on older Pythons, too)


def grab(options: dict[str, Any], emit: Callable[..., None]) -> None:
    """Opens a camera and reads it for ever.

    Args:
        options: ``index`` of the camera, ``size`` as width and height, ``fps`` or None.
        emit: see ``__main__``.

    Raises:
        RuntimeError: whatever went wrong, in one line.
    """
    try:
        picamera2 = importlib.import_module("picamera2")
    except ImportError:
        raise RuntimeError("Raspberry Pi cameras need picamera2: apt install python3-picamera2") from None
    try:
        camera = picamera2.Picamera2(options["index"])
    except IndexError:
        raise RuntimeError(f"there is no camera {options['index']}; rpicam-hello --list-cameras shows them") from None
    width, height = options["size"]
    controls = {"FrameRate": options["fps"]} if options["fps"] else {}
    main = {"size": (width, height), "format": "BGR888"}  # its name for R, G, B in this order in memory
    camera.configure(camera.create_video_configuration(main=main, controls=controls))
    camera.start()
    try:
        emit({"opened": True})
        while True:
            request = camera.capture_request()
            try:
                arrived = time.monotonic()
                image = request.make_array("main")
                stamp = request.get_metadata().get("SensorTimestamp")
            finally:
                request.release()
            head: dict[str, Any] = {"clock": arrived, "media": stamp / 1e9 if stamp else None, "dropped": {}}
            emit({**head, "size": [image.shape[1], image.shape[0]], "pixels": "rgb24"}, image.tobytes())
    finally:
        camera.stop()
        camera.close()
