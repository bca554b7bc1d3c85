import random

from hypothesis import given, settings
from hypothesis import strategies as st

from sharpline.line.sources.freshness import Freshness

RATES = st.sampled_from([1.0, 5.0, 12.5, 25.0, 60.0, 120.0])


def shown(watch, arrivals):
    """What a machine shows of (clock, stamp, taken): a picture that is unsure, if no other follows within the hold."""
    result, held = [], None
    for clock, stamp, taken in arrivals:
        if held and clock - held[0] >= watch.hold:
            result.append((held[0] + watch.hold, held[2]))
        held = None
        verdict = watch.judge(clock, stamp)
        if verdict == "fresh":
            result.append((clock, taken))
        elif verdict == "unsure":
            held = (clock, stamp, taken)
    return result


def film(rate, count, start=1000.0, jitter=0.0, stamped=True, seed=0):
    """Arrivals of a camera that works well."""
    rng = random.Random(seed)
    times = [start + number / rate for number in range(count)]
    return [(t + rng.uniform(0, jitter / rate), t - 990 if stamped else None, t) for t in times]


def freeze(arrivals, begin, seconds, pace):
    """The same camera, frozen for a while; then everything it missed comes, one each ``pace`` seconds."""
    result, free = [], 0.0
    for clock, stamp, taken in arrivals:
        if begin <= clock:
            clock = free = max(clock, begin + seconds, free + pace)
        result.append((clock, stamp, taken))
    return result


@settings(max_examples=30, deadline=None)
@given(rate=RATES, jitter=st.floats(0, 0.8), stamped=st.booleans(), seed=st.integers(0, 99))
def test_a_camera_that_works_well_is_shown(rate, jitter, stamped, seed):
    arrivals = film(rate, 200, jitter=jitter, stamped=stamped, seed=seed)
    late = [taken for _, taken in shown(Freshness(1.0), arrivals) if taken > arrivals[0][2] + 40 / rate]
    assert len(late) >= 158, "at most the last one is still held"


@settings(max_examples=30, deadline=None)
@given(
    rate=RATES.filter(lambda rate: rate >= 5),
    seconds=st.floats(1.2, 6),
    part=st.floats(0.02, 0.7),
    lag=st.floats(0.3, 1),
)
def test_after_a_freeze_nothing_old_is_shown_of_a_stamped_film(rate, seconds, part, lag):
    arrivals = freeze(film(rate, int(30 * rate)), 1005.0, seconds, part / rate)
    result = shown(Freshness(lag), arrivals)
    assert max(clock - taken for clock, taken in result) <= lag + 0.05
    assert result[-1][1] > arrivals[-1][2] - 1, "it is live again"


@settings(max_examples=30, deadline=None)
@given(rate=RATES.filter(lambda rate: rate >= 5), seconds=st.floats(1.2, 2.9), part=st.floats(0.02, 0.7))
def test_after_a_freeze_nothing_old_is_shown_of_a_film_without_stamps(rate, seconds, part):
    arrivals = freeze(film(rate, int(30 * rate), stamped=False), 1005.0, seconds, part / rate)
    result = shown(Freshness(1.0), arrivals)
    assert max(clock - taken for clock, taken in result) <= 1.05
    assert result[-1][1] > arrivals[-1][2] - 1


@settings(max_examples=40, deadline=None)
@given(rate=RATES.filter(lambda rate: rate >= 5), part=st.floats(0.02, 0.7), backlog=st.floats(1.5, 10))
def test_a_backlog_at_the_first_connection_is_not_shown(rate, part, backlog):
    arrivals = freeze(film(rate, int(30 * rate)), 1000.0, backlog, part / rate)
    result = shown(Freshness(1.0), arrivals)
    assert max(clock - taken for clock, taken in result) <= 1.05
    assert result[-1][1] > arrivals[-1][2] - 1


def test_a_triggered_camera_without_stamps_shows_every_part():
    """Its pictures come when a part does: silence is usual, and the picture after it is live."""
    times = [1000.0]
    rng = random.Random(1)
    for _ in range(50):
        times.append(times[-1] + rng.uniform(1.0, 9.0))
    result = shown(Freshness(1.0), [(t, None, t) for t in times])
    assert len(result) >= 50, "at most the last one is still held"


def test_a_clock_that_runs_off_and_one_that_is_set():
    slow = [(1000 + t / 25, 0.9998 * t / 25, 1000 + t / 25) for t in range(25 * 7200)]  # 1.4 s behind after two hours
    assert len(shown(Freshness(1.0), slow)) > len(slow) - 10
    for shift in (-3600.0, 3600.0):
        jump = [(clock, stamp + (shift if clock > 1005 else 0), taken) for clock, stamp, taken in film(25, 300)]
        assert len(shown(Freshness(1.0), jump)) > 285
