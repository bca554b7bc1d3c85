"""The board's camera: raw frames through a pipe, the newest one only. No camera was at hand when this was written."""

import importlib
import shlex
import subprocess
import threading
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np

from sharpline.lab.boards.run_parts.folder import Array, RunError


def frames(source: str, size: Tuple[int, int], pixels: str) -> Iterator[Array]:
    """Frames, uint8 H x W x 3: of a V4L2 device by its number (needs OpenCV), else of a command."""
    if source.isdigit():
        return _v4l2(int(source), size)
    return _piped(shlex.split(source.format(width=size[0], height=size[1])), size, pixels)


def _v4l2(number: int, size: Tuple[int, int]) -> Iterator[Array]:
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError:
        raise RunError("camera: OpenCV is not installed; give --camera a command that writes raw frames") from None
    camera = cv2.VideoCapture(number)
    camera.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
    camera.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    try:
        while True:
            got, frame = camera.read()
            if not got:
                raise RunError(f"camera: /dev/video{number} gives no frames")
            yield frame[:, :, ::-1]
    finally:
        camera.release()


def _piped(command: List[str], size: Tuple[int, int], pixels: str) -> Iterator[Array]:
    try:
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
    except OSError as error:
        raise RunError(f"camera: {command[0]} cannot be started ({error.strerror})") from None
    newest = Newest(child.stdout, size[0] * size[1] * 3 // (2 if pixels == "yuv420p" else 1))
    try:
        while True:
            raw = newest.take()
            if raw is None:
                break
            yield decoded(np.frombuffer(raw, np.uint8), size, pixels)
    finally:
        child.kill()
        child.wait()
    if not newest.count:
        raise RunError(f"camera: {command[0]} ended without a frame of {size[0]} x {size[1]} {pixels}")


class Newest:
    """Reads frames in a thread; what is not taken before the next one comes is dropped."""

    def __init__(self, pipe: Any, size: int) -> None:
        self._pipe, self._size = pipe, size
        self._changed = threading.Condition()
        self._frame: Optional[bytes] = None
        self._ended = False
        self.count = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            frame = self._pipe.read(self._size)
            with self._changed:
                self._ended = len(frame) < self._size
                if not self._ended:
                    self._frame, self.count = frame, self.count + 1
                self._changed.notify()
                if self._ended:
                    return

    def take(self) -> Optional[bytes]:
        """The newest frame; None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._ended)
            frame, self._frame = self._frame, None
            return frame


def decoded(raw: Array, size: Tuple[int, int], pixels: str) -> Array:
    """RGB of a raw frame: bgr24, rgb24, or yuv420p (BT.601, 16..235)."""
    width, height = size
    if pixels != "yuv420p":
        image = raw.reshape(height, width, 3)
        return image[:, :, ::-1] if pixels == "bgr24" else image
    area = width * height
    y = (raw[:area].reshape(height, width).astype(np.float32) - 16) * (255 / 219)
    planes = (raw[area:].reshape(2, height // 2, width // 2).astype(np.float32) - 128) * (255 / 224)
    u, v = planes.repeat(2, axis=1).repeat(2, axis=2)
    rgb = np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u], axis=2)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
