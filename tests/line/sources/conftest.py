"""The tests here share the cameras of ``camera_servers`` and the pictures of ``stamped``."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from camera_servers import offspring

collect_ignore = ["mjpeg_server.py", "rtsp_server.py"]  # programs, one of them for the system's Python


@pytest.fixture
def children() -> Callable[[], set[int]]:
    """The processes that this test has started and that live: browsers and helpers of others are not among them."""
    before = offspring()
    return lambda: offspring(before)


@pytest.fixture
def threads() -> Callable[[], set[threading.Thread]]:
    """The threads that this test has started and that live."""
    before = set(threading.enumerate())
    return lambda: set(threading.enumerate()) - before
