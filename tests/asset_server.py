"""A web server on 127.0.0.1 that serves one file, as well or as badly as a test asks."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from sharpline.errors import ModelError
from sharpline.runtime import fetching
from sharpline.runtime.assets import Asset
from sharpline.runtime.fetching import pull_asset

CONTENT = np.random.default_rng(7).bytes(300_000)


@dataclass
class Site:
    """What is served, how, and what was asked.

    Attributes:
        drops: For each request in turn, after how many bytes of the reply the line is cut (None: never).
        statuses: For each request in turn, an error to answer with (0: the file).
        ranges: Whether ``Range`` is understood.
        lengths: Whether replies say their length.
        skew: How far before the asked place its ranges begin.
        asked: Path and ``Range`` header of every request so far.
        hold: Called after the first half of a reply.
    """

    content: bytes = CONTENT
    drops: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    lengths: bool = True
    skew: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    hold: Callable[[], object] = lambda: None
    url: str = ""

    def asset(self, **changes: object) -> Asset:
        """An entry for what CONTENT is, at this site."""
        fields: dict[str, object] = {
            "name": "thing",
            "file": "thing.bin",
            "size": len(CONTENT),
            "sha256": sha256(CONTENT).hexdigest(),
            "licence": "CC0-1.0",
            "purpose": "a test",
            "page": "https://example.invalid",
            "urls": (f"{self.url}/thing.bin",),
        }
        return Asset.model_validate(fields | changes)


@contextmanager
def served(site: Site) -> Iterator[Site]:
    """Serves the site until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            site.asked.append((self.path, asked))
            status = site.statuses.pop(0) if site.statuses else 0
            if status:
                self.send_error(status)
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and site.ranges else 0
            if start and start >= len(site.content):
                self.send_error(416)
                return
            start -= site.skew if start else 0
            body = site.content[start:]
            packed = "gzip" in self.headers.get("Accept-Encoding", "")  # as raw.githubusercontent.com does
            if packed:
                body = gzip.compress(body)
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
            if packed:
                self.send_header("Content-Encoding", "gzip")
            if site.lengths:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            drop = site.drops.pop(0) if site.drops else None
            self.send_body(body if drop is None else body[:drop])

        def send_body(self, body: bytes) -> None:
            try:
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                site.hold()
                self.wfile.write(body[len(body) // 2 :])
            except OSError:  # who asked has gone
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def part(folder: Path) -> Path:
    """Where the bytes of an unfinished download of ``thing`` lie."""
    return folder / "thing.bin.part"


def files(folder: Path) -> set[str]:
    """What lies in a cache folder."""
    return {path.name for path in folder.iterdir()} - {".lock"}


def refused(site: Site, folder: Path, **options: object) -> str:
    """The one line of a pull that fails; nothing stands under the final name."""
    with pytest.raises(ModelError) as error:
        pull_asset(options.pop("asset", None) or site.asset(), folder, **options)
    assert not (folder / "thing.bin").exists()
    assert files(folder) <= {"thing.bin.part"}
    assert "\n" not in str(error.value)
    return str(error.value)


def environment() -> dict[str, str]:
    """The environment for another process that imports this source."""
    source = str(Path(fetching.__file__).parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
