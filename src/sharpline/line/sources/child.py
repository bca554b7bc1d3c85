"""A child process that writes to its standard output, read without ever waiting for it beyond recall."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import threading
import time
from typing import IO, cast

from sharpline.line.frame import Array
from sharpline.line.sources.camera import CameraError

_SLICE = 0.1  # seconds between two looks at the flag
_GRACE = 1.0  # seconds between SIGTERM and SIGKILL: Argus and GigE Vision cameras want to be let go
_PIPE = 1 << 20
_TAIL = 4000


class Child:
    r"""A running command with a process group of its own.

    Args:
        command: program and arguments. No shell is involved.
        given_up: makes a waiting :meth:`fill` give up when it is set, from any thread.

    Raises:
        CameraError: it cannot be started.

    Example:
        >>> import numpy as np
        >>> child = Child(["echo", "hello"], threading.Event())
        >>> word = np.empty(6, np.uint8)
        >>> child.fill(word), bytes(word), child.fill(word)
        (6, b'hello\n', 0)
        >>> child.close()
    """

    def __init__(self, command: list[str], given_up: threading.Event) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except FileNotFoundError:
            raise CameraError(f"{command[0]}: no such command; is it installed?") from None
        except OSError as error:
            raise CameraError(f"{command[0]}: cannot be started ({error.strerror})") from None
        pipes = self._process.stdin, self._process.stdout, self._process.stderr
        self._in, self._out, self._err = cast(tuple[IO[bytes], IO[bytes], IO[bytes]], pipes)
        self._poll = select.poll()
        for pipe in (self._out, self._err):
            os.set_blocking(pipe.fileno(), False)
            self._poll.register(pipe, select.POLLIN)
        with contextlib.suppress(OSError):  # over the system's limit for this user
            fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, _PIPE)
        self._said = b""
        self._given_up = given_up
        self.began = 0.0

    def tell(self, message: bytes) -> None:
        """Writes to its standard input, which stays open."""
        with contextlib.suppress(BrokenPipeError):  # the read that follows will say why
            self._in.write(message)

    def fill(self, array: Array) -> int:
        """Fills the whole array with what the child writes.

        Args:
            array: contiguous, to be overwritten.

        Returns:
            The number of bytes that came: fewer than asked for means that no more will. ``began`` is when the first
            of them was there, by :func:`time.monotonic`.

        Raises:
            CameraError: given up.
        """
        wanted = memoryview(array.data).cast("B")
        got = 0
        while got < len(wanted):
            if self._given_up.is_set():
                raise CameraError("given up")
            ready = {fd for fd, _ in self._poll.poll(_SLICE * 1000)}
            if self._err.fileno() in ready:
                self._listen()
            if self._out.fileno() not in ready:
                continue
            count = os.readv(self._out.fileno(), [wanted[got:]])
            if count == 0:
                break
            if got == 0:
                self.began = time.monotonic()
            got += count
        return got

    def ended_well(self) -> bool:
        """Whether it has ended, with status 0."""
        end = self._await_end(0.5)
        return end is not None and end.si_code == os.CLD_EXITED and end.si_status == 0

    def last_words(self) -> str:
        """Why it ended: the line of its standard error that tells most, or its exit status."""
        end = self._await_end(0.5)
        self._listen()
        lines = [line.strip() for line in self._said.decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower()] or lines
        if telling:
            return telling[0] if telling is not lines else lines[-1]
        return "it closed its output" if end is None else f"it ended without a word (status {end.si_status})"

    def close(self) -> None:
        """Ends the child and all of its process group; asks first, then kills. Waits for it."""
        with contextlib.suppress(OSError):
            self._in.close()
        self._signal(signal.SIGTERM)
        self._await_end(_GRACE)
        self._signal(signal.SIGKILL)  # before the child is reaped: its group's number cannot be another's yet
        self._process.wait()
        self._out.close()
        self._err.close()

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            said = os.read(self._err.fileno(), _TAIL)
            if not said:
                with contextlib.suppress(KeyError):
                    self._poll.unregister(self._err)
            self._said = (self._said + said)[-_TAIL:]

    def _await_end(self, seconds: float) -> os.waitid_result | None:
        """Waits for its end without reaping it."""
        until = time.monotonic() + seconds
        while self._process.returncode is None:
            end = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if end is not None or time.monotonic() >= until:
                return end
            time.sleep(0.01)
        return None

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
