"""The token bucket: it never lets more go than the rate and its size, and never less to whoever always wants more."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pserver.bucket import BURST_SECONDS, Bucket

RATES = st.integers(1, 1 << 30)
STEPS = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 1 << 22)), min_size=1, max_size=60)


@given(RATES, STEPS)
def test_over_any_time_no_more_goes_than_the_rate_and_the_size(rate: int, steps: list[tuple[float, int]]) -> None:
    bucket, now, went = Bucket(rate), 100.0, [(100.0, 0)]
    bucket.level(now)
    for seconds, wanted in steps:
        now += seconds
        count = min(wanted, max(bucket.level(now), 0))
        bucket.take(count, now)
        went.append((now, count))
    size = rate * BURST_SECONDS + 1
    for first in range(len(went)):
        sent = 0
        for at, count in went[first:]:
            sent += count
            assert sent <= (at - went[first][0]) * rate + size + 1e-3


@example(9, [0.03125] * 6 + [0.046875])
@given(RATES, st.lists(st.floats(1e-6, BURST_SECONDS / 2), min_size=1, max_size=200))
def test_who_always_wants_more_gets_the_rate(rate: int, pauses: list[float]) -> None:
    bucket, now, sent = Bucket(rate), 0.0, 0
    bucket.level(now)
    for seconds in pauses:
        now += seconds
        level = max(bucket.level(now), 0)
        bucket.take(level, now)
        sent += level
    assert sent >= now * rate - 1 - 1e-3 * len(pauses)


@given(RATES, st.integers(0, 1 << 24), st.integers(1, 1 << 24))
def test_after_the_wait_that_it_names_there_is_enough(rate: int, owed: int, wanted: int) -> None:
    bucket, wanted = Bucket(rate), min(wanted, Bucket(rate).turn_bytes)
    bucket.take(owed, 10.0)
    seconds = bucket.seconds_until(wanted, 10.0)
    assert bucket.level(10.0 + seconds * (1 + 1e-9) + 1e-6) >= wanted
    assert bucket.seconds_until(wanted, 10.0 + seconds + 1) == 0.0


def test_what_went_beyond_is_owed() -> None:
    bucket = Bucket(1000)
    bucket.take(500, 0.0)
    assert bucket.level(0.0) == -500
    assert bucket.seconds_until(100, 0.0) == pytest.approx(0.6)
    assert bucket.level(0.5) == 0


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    bucket = Bucket(1000)
    assert [bucket.level(now) for now in (5.0, 5.0, 4.0, 5.0)] == [0, 0, 0, 0]
    assert bucket.level(5.05) == pytest.approx(50, abs=1)
    assert bucket.level(1000.0) == 101, "a long pause is worth a tenth of a second, and a byte"
