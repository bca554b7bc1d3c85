"""A server with a feed behind it, and a browser in front of it."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the page needs sharpline[line]")
from console.moving_feed import MovingFeed, Settings
from patience import PATIENCE
from sharpline.console.server import Server


@pytest.fixture
def feed() -> Iterator[MovingFeed]:
    moving = MovingFeed()
    yield moving
    moving.close()


@pytest.fixture
def server(feed: MovingFeed) -> Iterator[Server]:
    with Server(feed, Settings()) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    path = os.environ.get("SHARPLINE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page that fails its test when the browser complains: scripts, content security policy, anything."""
    context = chromium.new_context(viewport={"width": 1024, "height": 600}, accept_downloads=True)
    context.set_default_timeout(1000 * PATIENCE)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.complaints = complaints
    yield opened
    context.close()
    assert [text for text in complaints if "ERR_CONNECTION_REFUSED" not in text] == []  # the server has ended before
