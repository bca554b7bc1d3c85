"""A browser without a screen: speaks the page's protocol as slowly as a test wants."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

from websockets.sync.client import ClientConnection, connect

from patience import PATIENCE


class Talker:
    """One socket to a server."""

    def __init__(self, url: str, **headers: str) -> None:
        self.url = url.replace("http", "ws", 1) + "socket"
        origin = headers.pop("Origin", url.rstrip("/"))
        self._opened = connect(
            self.url, origin=origin, additional_headers=headers, max_size=None, compression=None, open_timeout=PATIENCE
        )
        self.socket: ClientConnection = self._opened.__enter__()
        self.hello = json.loads(self.socket.recv(timeout=PATIENCE))

    def say(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def look(self, *sources: str, **view: Any) -> None:
        self.say(type="view", sources=list(sources), **{"width": 640, **view})

    def ack(self, header: dict[str, Any], drawn: bool = True) -> None:
        self.say(type="ack", n=header["n"], drawn=drawn)

    def next(self, timeout: float = PATIENCE) -> dict[str, Any] | tuple[dict[str, Any], dict[str, bytes]]:
        """A JSON message, or a picture: its header and its parts by kind."""
        data = self.socket.recv(timeout=timeout)
        if isinstance(data, str):
            return json.loads(data)
        (length,) = struct.unpack_from("<I", data)
        header, at, parts = json.loads(data[4 : 4 + length]), 4 + length, {}
        for part in header["parts"]:
            parts[part["kind"]] = data[at : at + part["bytes"]]
            at += part["bytes"]
        assert at == len(data)
        return header, parts

    def picture(self, timeout: float = PATIENCE) -> tuple[dict[str, Any], dict[str, bytes]]:
        deadline = time.monotonic() + timeout
        while True:
            message = self.next(deadline - time.monotonic())
            if isinstance(message, tuple):
                return message

    def message(self, kind: str) -> dict[str, Any]:
        while True:
            message = self.next()
            if isinstance(message, dict) and message["type"] == kind:
                return message

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Talker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
