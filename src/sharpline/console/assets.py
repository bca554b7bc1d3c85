"""The page's files, read once: what the network asks for is looked up in a table, never on the disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

_MIME = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page.

    Attributes:
        content: Its bytes.
        mime: Its type.
        tag: Changes with the content (ETag).
    """

    content: bytes
    mime: str
    tag: str


def assets() -> dict[str, Asset]:
    """All files of the page by name.

    Example:
        >>> assets()["page.css"].mime
        'text/css; charset=utf-8'
    """
    found = {}
    for file in resources.files("sharpline.console").joinpath("static").iterdir():
        mime = _MIME.get("." + file.name.rpartition(".")[2])
        if mime is not None:
            content = file.read_bytes()
            found[file.name] = Asset(content, mime, f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return found
