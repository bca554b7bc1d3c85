"""Who may come in, and what a browser is allowed to do with what it gets."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import time
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from sharpline.console.feed import ViewSettings
from sharpline.errors import UsageError

COOKIE = "sharpline"
KEPT = 30 * 24 * 3600  # seconds for which a browser need not give the token again
_SHORTEST_TOKEN = 16
_LOOPBACK_NAMES = ("localhost", "ip6-localhost")

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


def is_loopback(host: str) -> bool:
    """Whether an address or name can be reached from this machine only.

    Args:
        host: As in the settings or a URL, IPv6 without brackets.

    Example:
        >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "localhost.example.org")]
        [True, True, True, False, False]
    """
    if host.lower() in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Gate:
    """Decides over requests. The token is exchanged for a cookie that holds a signature, never the token.

    Args:
        token: What a browser has to know, or None: then only loopback is served.
        loopback: Whether the server listens there; no other names are answered to then (DNS rebinding).
        secure: Whether it speaks TLS: the cookie is not sent over anything else then.

    Example:
        >>> gate = Gate("correct horse battery", loopback=False, secure=True)
        >>> gate.admits({"authorization": "Bearer correct horse battery"}), gate.admits({})
        (True, False)
    """

    def __init__(self, token: str | None, *, loopback: bool, secure: bool) -> None:
        self._digest = None if token is None else _digest(token)
        self._loopback = loopback
        self._secure = secure

    @classmethod
    def of(cls, settings: ViewSettings) -> Gate:
        """The gate that the settings ask for.

        Raises:
            UsageError: An address that others reach without a token, or a token that is not there or too short.
        """
        loopback = is_loopback(settings.host)
        secure = settings.certificate is not None
        variable = settings.token_env
        if variable is None:
            if not loopback:
                raise UsageError(
                    f"the page on {settings.host} can be reached by others: name an environment variable that holds "
                    "a token (token_env), or listen on 127.0.0.1"
                )
            return cls(None, loopback=True, secure=secure)
        token = os.environ.get(variable, "")
        if len(token) < _SHORTEST_TOKEN:
            raise UsageError(
                f"the environment variable {variable} has to hold the page's token, at least {_SHORTEST_TOKEN} "
                "characters (openssl rand -hex 16 makes one)"
            )
        return cls(token, loopback=loopback, secure=secure)

    @property
    def has_token(self) -> bool:
        """Whether browsers have to give one."""
        return self._digest is not None

    def knows_host(self, headers: Mapping[str, str]) -> bool:
        """Whether a request's Host is a name that this server has: on loopback, a name of loopback."""
        host = headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return bool(name) and (not self._loopback or is_loopback(name or ""))

    def same_origin(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from a page of this very server."""
        origin, host = headers.get("origin", ""), headers.get("host", "")
        scheme, _, place = origin.partition("://")
        return scheme in ("http", "https") and bool(host) and place.lower() == host.lower()

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether a request carries the cookie, or the token as ``Authorization: Bearer``."""
        if self._digest is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given):
            return True
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and self._is_signed(morsel.value)

    def is_token(self, given: str) -> bool:
        """Compares in a time that says nothing of the token."""
        return self._digest is not None and hmac.compare_digest(_digest(given), self._digest)

    def cookie(self) -> str:
        """What to set once the token was given. It outlives a restart of the server, but not a change of the token."""
        until = str(int(time.time()) + KEPT)
        secure = "; Secure" if self._secure else ""
        value = f"{until}.{self._signature(until)}"
        return f"{COOKIE}={value}; Path=/; Max-Age={KEPT}; HttpOnly; SameSite=Strict{secure}"

    def _is_signed(self, value: str) -> bool:
        until, _, signature = value.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(until).encode()):
            return False
        return until.isascii() and until.isdigit() and time.time() < int(until)

    def _signature(self, until: str) -> str:
        assert self._digest is not None
        return hmac.new(self._digest, f"page until {until}".encode(), "sha256").hexdigest()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
