"""Cameras behind libraries, each in a process of its own: a library that hangs or crashes can be ended for good.

A device that a hanging driver call keeps open cannot be opened again by a fresh handle in the same process, and a
thread cannot be killed. GigE Vision and picamera2 are bindings of the system's Python; only a process can use them
from a virtual environment. What a worker writes is described in ``workers/__main__.py``.
"""

from __future__ import annotations

import json
import sys
import threading
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from sharpline.line.sources.camera import CameraError, Shot
from sharpline.line.sources.child import Child
from sharpline.line.sources.pixelformats import decode, format_of

_WORKERS = Path(__file__).parent / "workers"
_SYSTEM = "/usr/bin/python3"
_LARGEST = 1 << 16  # bytes of a head


class WorkerCamera:
    """A camera that a worker process reads.

    Args:
        worker: ``video``, ``aravis`` or ``raspberry``.
        module: the Python module that it needs; decides between this Python and the system's.
        options: for the worker, see there. They do not appear in the list of processes.
    """

    def __init__(self, worker: str, module: str, options: dict[str, Any]) -> None:
        self._worker, self._module, self._options = worker, module, options
        self._child: Child | None = None
        self._given_up = threading.Event()

    def open(self) -> None:
        """Starts the worker and waits until it is connected.

        Raises:
            CameraError: it cannot.
        """
        self._child = Child([python_with(self._module), str(_WORKERS), self._worker], self._given_up)
        self._child.tell(json.dumps(self._options).encode() + b"\n")
        self._head()

    def read(self) -> Shot | None:
        """The next picture; None when the worker says that there will be no more.

        Raises:
            CameraError: the worker's trouble.
        """
        head = self._head()
        if head is None:
            return None
        if "pixels" not in head:
            return Shot(None, head["clock"], None, head["dropped"])
        width, height = head["size"]
        raw = np.empty(format_of(head["pixels"]).size(width, height), np.uint8)
        self._fill(raw)
        image = decode(raw, head["pixels"], width, height, head.get("bits", 16))
        return Shot(image, head["clock"], head["media"], head["dropped"])

    def interrupt(self) -> None:
        """Makes waiting calls give up."""
        self._given_up.set()

    def close(self) -> None:
        """Ends the worker."""
        if self._child is not None:
            self._child.close()

    def _head(self) -> dict[str, Any] | None:
        length = np.empty(4, np.uint8)
        self._fill(length)
        text = np.empty(min(int(length.view("<u4")[0]), _LARGEST), np.uint8)
        self._fill(text)
        head: dict[str, Any] = json.loads(bytes(text))
        if "trouble" in head:
            raise CameraError(head["trouble"])
        return None if head.get("end") else head

    def _fill(self, array: np.typing.NDArray[Any]) -> None:
        assert self._child is not None
        if self._child.fill(array) < array.nbytes:
            raise CameraError(f"the process that reads the camera has died: {self._child.last_words()}")


@cache
def python_with(module: str) -> str:
    """The interpreter that has a module: this one, or else the system's.

    Example:
        >>> python_with("json") == sys.executable
        True
    """
    return sys.executable if find_spec(module) is not None else _SYSTEM
