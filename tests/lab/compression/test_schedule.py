"""AGP's formula and when it is due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

pytest.importorskip("torch", reason="the lab needs torch: pip install 'sharpline[lab]'")

from sharpline.errors import UsageError
from sharpline.lab.compression.layers import choose
from sharpline.lab.compression.schedule import Schedule


@given(
    begin=st.integers(0, 50),
    turns=st.integers(1, 20),
    every=st.integers(1, 9),
    initial=st.floats(0, 0.4),
    target=st.floats(0.5, 0.99),
)
def test_agp_is_the_papers_formula_at_each_turn(
    begin: int, turns: int, every: int, initial: float, target: float
) -> None:
    end = begin + turns * every
    schedule = Schedule(kind="agp", begin=begin, end=end, every=every, initial=initial)
    due = [step for step in range(end + 20) if schedule.is_due(step)]
    assert due == list(range(begin, end + 1, every))
    for t in due:
        paper = target + (initial - target) * (1 - (t - begin) / (turns * every)) ** 3
        assert schedule.amount(t, target) == pytest.approx(paper, abs=1e-12)
    assert schedule.amount(end + 7, target) == target
    assert begin == 0 or schedule.amount(begin - 1, target) == 0


def test_one_shot_is_due_once_and_whole() -> None:
    schedule = Schedule(begin=4)
    assert [step for step in range(9) if schedule.is_due(step)] == [4]
    assert [schedule.amount(step, 0.7) for step in (3, 4, 8)] == [0, 0.7, 0.7]


def test_a_target_below_the_initial_amount_is_not_passed() -> None:
    schedule = Schedule(kind="agp", end=10, initial=0.5)
    assert all(schedule.amount(step, 0.2) == pytest.approx(0.2) for step in range(11))


def test_epochs_become_steps() -> None:
    schedule = Schedule(kind="agp", begin=1, end=5, every=2, unit="epochs").in_steps(steps=60, per_epoch=12)
    assert (schedule.begin, schedule.end, schedule.every, schedule.unit) == (12, 60, 24, "steps")
    with pytest.raises(UsageError, match="ends at step 60, training at 59"):
        Schedule(kind="agp", end=5, unit="epochs").in_steps(steps=59, per_epoch=12)


@pytest.mark.parametrize(
    "settings", [{"kind": "agp"}, {"end": 5}, {"kind": "agp", "begin": 5, "end": 5}, {"kind": "agp", "ende": 5}]
)
def test_incomplete_schedules_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Schedule(**settings)


def test_the_first_pattern_that_matches_decides() -> None:
    layers = ["head", "body.0.first", "body.0.second", "body.1.first"]
    assert choose({"body.0.*": 1, "body.*": 2}, layers) == {"body.0.first": 1, "body.0.second": 1, "body.1.first": 2}
    with pytest.raises(
        UsageError, match=r"'bodi\.1\.first' is no layer of the network; the nearest is 'body\.1\.first'"
    ):
        choose({"*": 1, "bodi.1.first": 2}, layers)
