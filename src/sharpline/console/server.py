"""The page's server: in a thread beside a line, or alone."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from types import TracebackType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sharpline.console.application import application
from sharpline.console.feed import Feed, ViewSettings
from sharpline.console.hub import Hub
from sharpline.console.messages import LONGEST_MESSAGE
from sharpline.console.security import Gate, is_loopback
from sharpline.errors import UsageError

_log = logging.getLogger(__name__)
_CONNECTIONS = 400  # TCP connections at once; browsers open several each
_SILENCE = 10.0  # seconds for a connection to make its request
_PING, _PONG = 20.0, 40.0  # seconds; a picture on a slow link goes before the pong


class _Patient(H11Protocol):
    """HTTP, but whoever connects has to say something: an idle connection would keep others out."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(_SILENCE, self._silent)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def _silent(self) -> None:
        asked: object = self.cycle  # uvicorn's types do not say that there is none before the first request
        if asked is None and not self.transport.is_closing() and self.transport.get_protocol() is self:
            self.transport.abort()


def _is_news(record: logging.LogRecord) -> bool:
    """Uvicorn takes a socket that was refused, with its answer, for a fault, and says so each time."""
    return "without completing handshake" not in record.getMessage()


class Server:
    """Serves the page in a thread of its own.

    Args:
        feed: What is shown.
        settings: Where and for whom; port 0 takes any that is free.

    Raises:
        UsageError: Settings that are not safe or cannot be met: no token, a port that is taken, a bad certificate.

    Example:
        >>> from sharpline.console.server import Server
        >>> with Server(line, settings) as server:  # doctest: +SKIP
        ...     print(server.url)
        http://127.0.0.1:8080/
    """

    def __init__(self, feed: Feed, settings: ViewSettings) -> None:
        gate = checked(settings)
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        if settings.certificate is None and not is_loopback(settings.host):
            _log.warning("the page on %s is served without TLS: its token can be read on the way", settings.host)
        self._socket = _listening(settings)
        port = self._socket.getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"{'http' if settings.certificate is None else 'https'}://{host}:{port}/"
        self._hub = Hub(feed, settings.quality)
        self._server = uvicorn.Server(
            uvicorn.Config(
                application(self._hub, gate),
                http=_Patient,
                ws="websockets-sansio",
                ws_max_size=LONGEST_MESSAGE,
                ws_ping_interval=_PING,
                ws_ping_timeout=_PONG,
                ws_per_message_deflate=False,  # pictures are compressed already
                h11_max_incomplete_event_size=16 << 10,
                limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=2,
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                ssl_certfile=settings.certificate,
                ssl_keyfile=settings.key,
            )
        )
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    def start(self) -> Server:
        """Begins to serve. Once."""
        self._thread.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Says goodbye to the browsers and ends. May be called twice."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._socket.close()

    def run(self) -> None:
        """Serves in this thread, until Ctrl-C or SIGTERM."""
        self._run()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._socket]))
        except KeyboardInterrupt:
            return
        finally:
            self._hub.close()
            self._socket.close()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(feed: Feed, settings: ViewSettings) -> None:
    """Serves the page until Ctrl-C or SIGTERM.

    Args:
        feed: What is shown.
        settings: Where and for whom.

    Raises:
        UsageError: Settings that are not safe or cannot be met.
    """
    Server(feed, settings).run()


def _listening(settings: ViewSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
        except OSError:
            listening.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"the page cannot be served on {settings.host}, port {settings.port} ({reason}); choose another port "
            "or address"
        ) from None
    listening.set_inheritable(False)
    return listening


def checked(settings: ViewSettings) -> Gate:
    """The gate that the settings ask for, once it is sure that the page can be served by them.

    Args:
        settings: Where and for whom.

    Raises:
        UsageError: No token where one is needed, or a certificate that cannot be used.

    Example:
        >>> from sharpline.line.config import ViewConfig
        >>> checked(ViewConfig()).has_token
        False
    """
    gate = Gate.of(settings)
    if (settings.certificate is None) != (settings.key is None):
        raise UsageError("TLS needs both files, certificate and key, or neither")
    _check_certificate(settings)
    return gate


def _check_certificate(settings: ViewSettings) -> None:
    if settings.certificate is None or settings.key is None:
        return
    try:
        # An empty password: a key that has one is refused rather than asked for on a terminal that nobody watches.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.certificate, settings.key, password="")
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"{settings.certificate} and {settings.key} are no certificate and key in PEM form without a password "
            f"({error.strerror or error})"
        ) from None
