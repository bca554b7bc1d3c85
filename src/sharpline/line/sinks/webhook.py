"""Sends events by HTTP POST: JSON with its pictures in base64, signed."""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests

from sharpline import __version__
from sharpline.line.sinks import signature
from sharpline.line.sinks.config import WebhookConfig
from sharpline.line.sinks.delivery import Outcome
from sharpline.line.sinks.event import Parcel

_CONNECT = 5.0  # seconds
_LATER = {408, 425, 429}


def place(url: str) -> str:
    """Host, port and path of an address; a query may hold a token and is left out.

    Example:
        >>> place("http://127.0.0.1:9000/events?token=1")
        '127.0.0.1:9000/events'
    """
    parts = urlsplit(url)
    return parts.netloc + parts.path


class Webhook:
    """A :class:`sharpline.line.sinks.delivery.Sender`. It trusts a TLS receiver only with a certificate that holds."""

    trouble = ""  # known when something is sent, and not before

    def __init__(self, config: WebhookConfig) -> None:
        """Reads the secret.

        Raises:
            UsageError: The environment has none.
        """
        self._config = config
        self._secret = None if config.secret_env is None else signature.secret_from(config.secret_env)
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # they would be kept for ever

    def start(self) -> None:
        """Nothing is to be opened: each request does."""

    def send(self, parcel: Parcel) -> Outcome:
        """2xx is delivered; 408, 425, 429, 5xx, a redirect and no answer: later; any other 4xx is refused."""
        body = parcel.body()
        headers = {
            "content-type": "application/json",
            "user-agent": f"sharpline/{__version__}",
            **signature.headers(self._secret, parcel.id, int(time.time()), body),
        }
        try:
            # What it answers beside the status is not read: nobody needs it, and it may have no end.
            with self._session.post(
                self._config.url,
                data=body,
                headers=headers,
                timeout=(min(_CONNECT, self._config.timeout), self._config.timeout),
                allow_redirects=False,
                stream=True,
            ) as reply:
                return _outcome(reply, place(self._config.url))
        except requests.RequestException as error:
            return Outcome("later", f"{place(self._config.url)}: {_reason(error)}")

    def stop(self, timeout: float) -> None:
        """Lets connections go."""
        self._session.close()


def _outcome(reply: requests.Response, where: str) -> Outcome:
    status = reply.status_code
    why = f"{where}: the receiver says {status} {reply.reason}"
    if 200 <= status < 300:
        return Outcome("delivered")
    if 300 <= status < 400:
        return Outcome("later", f"{why}; redirects are not followed: write the new address into the configuration")
    if 400 <= status < 500 and status not in _LATER:
        return Outcome("refused", why)
    return Outcome("later", why, retry_after(reply.headers.get("Retry-After", ""), time.time()))


def retry_after(text: str, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3): a number or a date; None without sense.

    Example:
        >>> retry_after("3", 0.0), retry_after("Thu, 01 Jan 1970 00:01:00 GMT", 10.0), retry_after("soon", 0.0)
        (3.0, 50.0, None)
    """
    try:
        seconds = float(text) if text.strip().isdecimal() else parsedate_to_datetime(text).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _reason(error: requests.RequestException) -> str:
    """The error in words. Those of requests hold the whole address."""
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted (REQUESTS_CA_BUNDLE names further ones)"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    if "NameResolutionError" in repr(error):
        return "no address is known for this name"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "the connection failed; is the receiver running?"
    return f"cannot be asked ({type(error).__name__})"
