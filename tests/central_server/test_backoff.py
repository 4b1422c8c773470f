"""The back-off against a plain model: any order of tries, successes and pauses."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from central_server.backoff import ACCOUNT, ADDRESS, Backoff, Pace, Tries
from central_server.people import SlowDown

PACE = Pace(free=3, first=1.0, longest=20.0, forget=100.0)
KEYS = st.sampled_from(["a", "b", "c"])


class BackoffMachine(RuleBasedStateMachine):
    """The model keeps the times of all tries that count, and reckons the wait from the list."""

    def __init__(self) -> None:
        super().__init__()
        self.backoff = Backoff(PACE)
        self.now = 0.0
        self.times: dict[str, list[float]] = {"a": [], "b": [], "c": []}

    def expected(self, key: str) -> float:
        tries = self.counting(key)
        if len(tries) < PACE.free:
            return 0.0
        wait = PACE.first
        for _ in range(len(tries) - PACE.free):
            wait = min(2 * wait, PACE.longest)
        return max(0.0, tries[-1] + wait - self.now)

    def counting(self, key: str) -> list[float]:
        tries = self.times[key]
        return tries if tries and self.now - tries[-1] < PACE.forget else []

    @rule(seconds=st.floats(0, 150))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=KEYS)
    def try_when_allowed(self, key: str) -> None:
        self.now += self.backoff.wait(key, self.now)
        self.times[key] = [*self.counting(key), self.now]
        self.backoff.tried(key, self.now)

    @rule(key=KEYS)
    def succeed(self, key: str) -> None:
        self.times[key] = []
        self.backoff.clear(key)

    @rule(key=KEYS)
    def take_back(self, key: str) -> None:
        if self.times[key]:  # the time of the last try stays the last one's
            *earlier, last = self.times[key]
            self.times[key] = [*earlier[:-1], last] if earlier else []
        self.backoff.take_back(key)

    @invariant()
    def waits_as_the_model(self) -> None:
        for key in self.times:
            wait = self.backoff.wait(key, self.now)
            assert math.isclose(wait, self.expected(key), abs_tol=1e-6)
            assert 0 <= wait <= PACE.longest


TestBackoff = BackoffMachine.TestCase
TestBackoff.settings = settings(max_examples=25, stateful_step_count=40)


@settings(max_examples=40)
@given(st.sampled_from([PACE, ACCOUNT, ADDRESS]), st.floats(1, 5000))
def test_who_tries_whenever_allowed_gets_so_many_tries(pace: Pace, seconds: float) -> None:
    backoff, now, tries = Backoff(pace), 0.0, 0
    while now <= seconds:
        backoff.tried("a", now)
        tries += 1
        now += backoff.wait("a", now)
    doublings = math.ceil(math.log2(pace.longest / pace.first))
    assert tries <= pace.free + doublings + 1 + seconds / pace.longest
    assert pace.longest < pace.forget  # waiting it out is not being forgotten


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30), max_size=100))
def test_memory_is_bounded_and_keeps_the_latest(keys: list[int]) -> None:
    backoff = Backoff(Pace(free=0, first=5.0, longest=5.0, forget=100.0), most=10)
    for key in keys:
        backoff.tried(str(key), 0.0)
        assert len(backoff) <= 10
    latest = list(dict.fromkeys(reversed(keys)))[:10]
    assert all(backoff.wait(str(key), 0.0) == 5.0 for key in latest)


def test_ever_so_many_tries_still_give_a_number() -> None:
    backoff = Backoff(PACE)
    for _ in range(5000):
        backoff.tried("a", 0.0)
    assert backoff.wait("a", 0.0) == PACE.longest


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unix:/run/x", "unix:/run/x", True),
    ],
)
def test_an_address_is_what_one_owner_has(one: str, other: str, same: bool) -> None:
    tries = Tries()
    for _ in range(ADDRESS.free):
        tries.begin(None, one, 0.0)
    if same:
        with pytest.raises(SlowDown):
            tries.begin(None, other, 0.0)
    else:
        tries.begin(None, other, 0.0)


def test_what_is_refused_counts_for_nobody() -> None:
    tries = Tries()
    for number in range(ADDRESS.free):
        tries.begin(f"user{number}", "192.0.2.1", 0.0)
    for _ in range(100):
        with pytest.raises(SlowDown) as caught:
            tries.begin("ann", "192.0.2.1", 0.0)
        assert caught.value.retry_after == 1
    tries.begin("ann", "192.0.2.2", 0.0)
