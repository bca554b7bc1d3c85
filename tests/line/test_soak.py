"""Half a minute under faults. Ten: ``python benchmarks/line.py --soak 600``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from patience import busy
from soak import soak


@pytest.mark.slow
def test_under_faults_nothing_is_lost_uncounted_and_the_memory_stays() -> None:
    found = soak(30, warm_up=10, size=(160, 120))
    assert (found.unaccounted, found.events_lost, found.events_duplicated, found.mqtt_lost) == (0, 0, 0, 0)
    assert found.frames > 100
    assert found.results > 20
    assert found.outages == 8
    assert found.reconnects > 0
    assert found.events_sent > 5
    assert found.mqtt_received >= 0.9 * found.mqtt_sent  # a broker that is killed may lose what it has acknowledged
    assert found.back_s_max < 12 * busy()
    assert found.oldest_live_s < 3 * busy()
    assert found.growth_percent < 15 * busy()  # of so short a time; the long soak allows 5
    good = replace(found, not_back=0, back_s_max=12.0, oldest_live_s=3.0, growth_percent=4.9)
    assert good.verdict() == "passed"
    bad = replace(good, events_lost=1, growth_percent=5.0)
    assert bad.verdict() == "failed: events_lost, growth_percent"
