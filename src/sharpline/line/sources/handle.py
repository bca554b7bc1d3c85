"""A thread that opens and reads one camera handle, and can be left behind when it hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sharpline.line.sources.camera import Camera, CameraError, Shot


class Handle:
    """Reads one :class:`Camera` in a thread of its own, one picture ahead.

    Args:
        make: makes the camera.
        changed: is notified whenever something has happened here; guards all attributes.
        name: of the source, for the thread.

    Attributes:
        opened: The camera is connected.
        over: Nothing more will come.
        trouble: Why, and how many pictures were lost with it; None for the end of the stream. Not the exception: that
            holds on to where it came through, the last picture included, until Python's collector comes by.
    """

    def __init__(self, make: Callable[[], Camera], changed: threading.Condition, name: str) -> None:
        self.opened = False
        self.over = False
        self.trouble: tuple[str, int] | None = None
        self._shot: Shot | None = None
        self._left = False
        self._camera: Camera | None = None
        self._make = make
        self._changed = changed
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)
        self._thread.start()

    def stirred(self) -> bool:
        """Whether there is a picture or the end to be taken."""
        return self._shot is not None or self.over

    def take(self) -> Shot | None:
        """The picture that waits, if any; the next one is read from now on."""
        shot, self._shot = self._shot, None
        self._changed.notify_all()
        return shot

    def leave(self, timeout: float = 2.5) -> None:
        """Has the camera closed. One that hangs is left behind after ``timeout`` seconds; it can do no more harm."""
        with self._changed:
            self._left = True
            self._changed.notify_all()
            camera = self._camera
        if camera is not None:
            camera.interrupt()
        self._thread.join(timeout)

    def hangs(self) -> bool:
        """Whether it is still at work, or at a call that does not return."""
        return self._thread.is_alive()

    def _run(self) -> None:
        trouble: tuple[str, int] | None = None
        try:
            self._read_all()
        except CameraError as error:
            trouble = str(error), error.damaged
        except Exception as error:  # of whatever library: a line must not die of it
            trouble = f"{type(error).__name__}: {error}", 0
        with self._changed:
            self._changed.wait_for(lambda: self._shot is None or self._left)
            self.trouble, self.over = trouble, True
            self._changed.notify_all()

    def _read_all(self) -> None:
        camera = self._make()
        with self._changed:
            self._camera = camera
            if self._left:
                return
        try:
            camera.open()
            with self._changed:
                self.opened = True
                self._changed.notify_all()
            while (shot := camera.read()) is not None and self._show(shot):
                pass
        finally:
            camera.close()

    def _show(self, shot: Shot) -> bool:
        """Puts a picture where it can be taken; False when nobody will."""
        with self._changed:
            self._changed.wait_for(lambda: self._shot is None or self._left)
            self._shot = shot
            self._changed.notify_all()
            return not self._left
