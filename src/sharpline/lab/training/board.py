"""TensorBoard's event files. Its own writer is a thread, where a full disk becomes a traceback."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Board:
    """A new event file in a folder. Every method may raise OSError.

    Args:
        folder: it and its parents are made.
        step: what goes on from here: TensorBoard forgets what older files have at later steps.
    """

    def __init__(self, folder: Path, step: int) -> None:
        # A second to load, and only needed here.
        from tensorboard.compat.proto import event_pb2  # type: ignore[import-untyped]
        from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]
        from torch.utils.tensorboard import summary

        self._events: Any = event_pb2
        self._summary: Any = summary
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time():.6f}.{os.uname().nodename}.{os.getpid()}"
        self._records = RecordWriter((folder / name).open("xb", buffering=0))
        self._write(file_version="brain.Event:2")
        if step:
            self._write(step=step + 1, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))

    def add(self, step: int, values: Mapping[str, float], pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Note scalars and pictures [H, W, 3] of a step."""
        for name, value in values.items():
            self._write(step=step, summary=self._summary.scalar(name, value))
        for name, picture in pictures.items():
            self._write(step=step, summary=self._summary.image(name, picture, dataformats="HWC"))

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _write(self, **event: Any) -> None:
        self._records.write(self._events.Event(wall_time=time.time(), **event).SerializeToString())
