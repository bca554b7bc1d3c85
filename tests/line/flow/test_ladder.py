"""Down when it is too slow, up when there is time, and never to and fro at a constant load."""

from __future__ import annotations

import math
import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sharpline.line.flow.ladder import Ladder


def run(ladder: Ladder, costs: list[float], frames: int, *, jitter: float = 0.0, now: float = 0.0, seed: int = 0):
    """Enlarges so many frames, one a tenth of a second; returns the rung after each and the time."""
    rng, rungs = random.Random(seed), []
    for _ in range(frames):
        now += 0.1
        if ladder.due(now):
            ladder.tried(costs[ladder.rung - 1] * rng.uniform(1 - jitter, 1 + jitter), now)
        ladder.observe(costs[ladder.rung] * rng.uniform(1 - jitter, 1 + jitter), now)
        rungs.append(ladder.rung)
    return rungs, now


@given(
    st.lists(st.floats(0.0, 5.0), min_size=1, max_size=5).map(lambda costs: sorted(costs, reverse=True)),
    st.integers(0, 1000),
)
def test_at_a_constant_load_it_never_goes_up_what_it_came_down(costs: list[float], seed: int) -> None:
    rungs, _ = run(Ladder(len(costs), climb_after=2.0), costs, 1500, jitter=0.12, seed=seed)
    assert rungs == sorted(rungs)
    firm = next((n for n, cost in enumerate(costs) if cost <= 0.85), len(costs) - 1)
    assert rungs[-1] <= firm
    if costs[0] > 1.15:
        assert rungs[-1] > 0 or len(costs) == 1


def test_a_single_slow_frame_changes_nothing() -> None:
    ladder = Ladder(3, climb_after=10)
    for number in range(100):
        ladder.observe(50.0 if number % 5 == 0 else 0.6, number * 0.1)
    assert ladder.rung == 0


def test_it_comes_back_after_the_load_is_gone_and_not_before() -> None:
    ladder = Ladder(2, climb_after=10)
    rungs, now = run(ladder, [2.0, 0.1], 50)
    assert rungs[-1] == 1
    rungs, _ = run(ladder, [0.5, 0.1], 200, now=now)
    assert rungs[-1] == 0
    back = rungs.index(0) * 0.1
    assert back >= 4  # of the ten seconds, those since the change count


def test_between_slack_and_budget_it_stays_where_it_is() -> None:
    up, down = Ladder(2, climb_after=1), Ladder(2, climb_after=1)
    assert set(run(up, [0.85, 0.1], 500)[0]) == {0}
    run(down, [2.0, 0.1], 10)
    assert set(run(down, [0.85, 0.1], 500, now=1.0)[0]) == {1}


def test_trials_that_fail_become_seldom() -> None:
    ladder, times, now = Ladder(2, climb_after=1), [], 0.0
    run(ladder, [2.0, 0.1], 10)
    while now < 200:
        now += 0.1
        if ladder.due(now):
            times.append(now)
            assert not ladder.tried(2.0, now)
    gaps = [round(b - a, 3) for a, b in pairwise(times)]
    assert gaps == sorted(gaps)
    assert 15 < gaps[-1] < 17


def test_a_way_that_fails_is_left() -> None:
    ladder = Ladder(3, climb_after=10)
    for now in range(5):
        ladder.observe(math.inf, now)
    assert ladder.rung == 1
