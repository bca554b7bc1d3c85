"""Text for people and logs without the passwords that addresses carry."""

from __future__ import annotations

import re

_USER = re.compile(r"(\w://)\S*@")
_SECRET = re.compile(r"([\w-]*(?:passw|pwd|-pw|token|secret|auth|key)[\w-]*=)[^&\s'\"]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text with user and password of each address, and values called password or token, hidden.

    Example:
        >>> redacted("rtsp://admin:pa/ss@10.0.0.7/ch1: 401")
        'rtsp://***@10.0.0.7/ch1: 401'
        >>> redacted("http://cam/video.cgi?user=a&pwd=hunter2&res=hi")
        'http://cam/video.cgi?user=a&pwd=***&res=hi'
    """
    return _SECRET.sub(r"\1***", _USER.sub(r"\1***@", text))


def one_line(text: str, limit: int = 300) -> str:
    r"""The text as one redacted line of at most ``limit`` characters.

    Example:
        >>> one_line("no\n  picture")
        'no picture'
    """
    line = " ".join(redacted(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
