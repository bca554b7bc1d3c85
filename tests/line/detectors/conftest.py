"""Results to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sharpline.line.frame import Frame, Result


def result_of(height: int = 48, width: int = 64, scale: int = 4, **changes: Any) -> Result:
    """A black frame, enlarged; in the result a white part from 40 to 80 across and 20 to 60 down."""
    frame = Frame("cam1", 0, np.zeros((height, width, 3), np.uint8), captured=0.0, clock=0.0)
    sr = np.zeros((height * scale, width * scale, 3), np.uint8)
    sr[20:60, 40:80] = 255
    return Result(frame, changes.pop("sr", sr), scale, "edge-s-x4", "ab" * 32, False, 0.0, 0.0, **changes)


@pytest.fixture
def make_result() -> Callable[..., Result]:
    return result_of
