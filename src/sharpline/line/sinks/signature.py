"""Signs a request so that its receiver knows who sent it, and when (Standard Webhooks 1.0, standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from hashlib import sha256

from sharpline.errors import UsageError

_PREFIX = "whsec_"


def secret_from(variable: str) -> bytes:
    """The secret in an environment variable: ``whsec_`` and base64, or any text of 16 bytes or more.

    Raises:
        UsageError: It is not set, too short, or not base64. Its value is never said.
    """
    text = os.environ.get(variable, "")
    if not text:
        raise UsageError(f"the environment variable {variable} is not set: it is to hold the secret (secret_env)")
    try:
        secret = base64.b64decode(text[len(_PREFIX) :], validate=True) if text.startswith(_PREFIX) else text.encode()
    except binascii.Error:
        raise UsageError(
            f"the environment variable {variable} begins with {_PREFIX} but goes on with no base64"
        ) from None
    if len(secret) < 16:
        raise UsageError(f"the secret in {variable} is shorter than 16 bytes: make one with 'openssl rand -hex 32'")
    return secret


def headers(secret: bytes | None, key: str, moment: int, body: bytes) -> dict[str, str]:
    """The headers of an event.

    Args:
        secret: None for no signature.
        key: The event's id.
        moment: Seconds since 1970, when it is sent.
        body: What is sent.

    Example:
        >>> secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        >>> payload = b'{"test": 2432232314}'
        >>> headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, payload)["webhook-signature"]
        'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    found = {"webhook-id": key, "webhook-timestamp": str(moment), "idempotency-key": key}
    if secret is not None:
        digest = hmac.digest(secret, f"{key}.{moment}.".encode() + body, sha256)
        found["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
    return found
