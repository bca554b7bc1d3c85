"""Stands before the application: every request passes here first, and every answer leaves here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sharpline.console.security import HEADERS, Gate

LONGEST_BODY = 4096
_LONGEST_PATH = 2048
OPEN = frozenset({"/login", "/healthz", "/static/login.js", "/static/page.css", "/static/icon.svg"})
"""Paths that are answered without a token: none of them says anything about the line (``/healthz``: one word)."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Guarded:
    """An application behind a gate.

    Args:
        inner: The application.
        gate: Who may come in.
        login: The page that asks for the token.
    """

    def __init__(self, inner: Application, gate: Gate, login: bytes) -> None:
        self._inner, self._gate, self._login = inner, gate, login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send, refusal)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_dress(message.get("headers", []))]
            await send(message)

        if refusal is None:
            scope["admitted"] = self._gate.admits(headers)
            await self._inner(scope, receive, dressed)
        else:
            await _answer(dressed, *refusal)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, bytes] | None:
        gate, path = self._gate, scope["path"]
        if not gate.knows_host(headers):
            return 421, b"This server does not answer to that name; open it as http://127.0.0.1 or localhost.\n"
        if len(path) + len(scope.get("query_string", b"")) > _LONGEST_PATH:
            return 414, b"Addresses on this server are short.\n"
        if _too_long(headers):
            return 413, b"Requests to this server are short.\n"
        if path not in OPEN and not gate.admits(headers):
            return 401, self._login if path == "/" else b"The token is missing; open the page and give it.\n"
        posts = scope["type"] == "websocket" or scope.get("method") not in ("GET", "HEAD")
        if posts and not gate.same_origin(headers):
            return 403, b"That came from another page than this server's own.\n"
        return None

    async def _socket(self, scope: Scope, receive: Receive, send: Send, refusal: tuple[int, bytes] | None) -> None:
        if refusal is None:
            await self._inner(scope, receive, send)
            return
        await receive()
        await _answer(send, *refusal, kind="websocket.http.response")


def _too_long(headers: dict[str, str]) -> bool:
    """Bodies of unknown length (chunked) are not taken at all: nothing here needs them."""
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not length.isdigit() or int(length[:9]) > LONGEST_BODY


def _dress(given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    dress = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    if not any(name.lower() == b"cache-control" for name, _ in given):
        dress.append((b"cache-control", b"no-store"))
    return dress


async def _answer(send: Send, status: int, body: bytes, kind: str = "http.response") -> None:
    mime = b"text/html; charset=utf-8" if body.startswith(b"<!") else b"text/plain; charset=utf-8"
    headers = [(b"content-type", mime), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})
