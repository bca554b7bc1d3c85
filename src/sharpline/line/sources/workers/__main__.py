"""Runs one worker: ``python workers NAME``, options as a line of JSON on standard input, pictures on standard output.

A record is a length (4 bytes, little-endian), that many bytes of JSON, and the picture's bytes. The JSON is one of
``{"opened": true}``, ``{"clock", "media", "dropped", "size", "pixels", "bits"}``, ``{"clock", "dropped"}`` without a
picture, ``{"trouble": "one line"}`` and ``{"end": true}``. This folder runs by itself, without Sharpline, in whatever
Python has the camera's library: Python 3.8 on, standard library only. When standard input ends, so does the worker.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import struct
import sys
import threading
import time
from typing import Any


def main() -> None:
    """Reads the options, runs the worker and tells how it ended."""
    out = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not get between the pictures
    options = json.loads(sys.stdin.buffer.readline())
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def emit(head: dict[str, Any], picture: Any = b"") -> None:
        text = json.dumps(head).encode()
        _write(out, struct.pack("<I", len(text)) + text)
        _write(out, picture)

    try:
        importlib.import_module(sys.argv[1]).grab(options, emit)
        emit({"end": True})
    except BrokenPipeError:
        pass
    except Exception as error:
        emit({"trouble": str(error) or type(error).__name__})


def _write(out: int, data: Any) -> None:
    view = memoryview(data).cast("B")
    while view:
        view = view[os.write(out, view) :]


def _end_with_parent() -> None:
    while os.read(0, 1):  # not by sys.stdin: its lock, held by this thread, would break the interpreter's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main()
