"""Half a minute under faults. Ten: ``python benchmarks/line.py --soak 600``."""

from __future__ import annotations

import pytest

from soak import soak


@pytest.mark.slow
def test_under_faults_nothing_is_lost_uncounted_and_the_memory_stays() -> None:
    found = soak(30, warm_up=10, size=(160, 120))
    assert found.unaccounted == 0
    assert found.events_lost == 0
    assert found.frames > 100
    assert found.results > 20
    assert found.reconnects > 0
    assert found.growth < 0.15  # of so short a time; the long soak allows 0.05
