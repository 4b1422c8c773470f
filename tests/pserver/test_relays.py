"""The pool of relays, the query ids, and waits that grow."""

import pytest

from pserver.backoff import Backoff
from pserver.model import Unavailable
from pserver.network.relays import MAX_RELAYS, QueryIds, RelayPool
from pserver.network.ways import Rests
from pserver.running.listening import PEER_THREADS


def test_the_pool_is_bounded() -> None:
    pool = RelayPool(most=2, most_a_peer=2)
    with pool.place("a"), pool.place("b"), pytest.raises(Unavailable), pool.place("c"):
        pass
    with pool.place("c"):
        pass


def test_no_peer_takes_all_of_it() -> None:
    pool = RelayPool(most=3, most_a_peer=1)
    with pool.place("a"):
        with pytest.raises(Unavailable), pool.place("a"):
            pass
        with pool.place("b"):
            pass
    with pool.place("a"):
        pass


def test_a_place_is_given_back_after_an_error() -> None:
    pool = RelayPool(most=1)
    with pytest.raises(ZeroDivisionError), pool.place("a"):
        raise ZeroDivisionError
    with pool.place("a"):
        pass


def test_a_query_id_is_new_once_and_again_with_more_hops() -> None:
    ids = QueryIds()
    assert ids.is_new("x", 2, 0.0)
    assert not ids.is_new("x", 2, 0.0)
    assert not ids.is_new("x", 1, 0.0)
    assert ids.is_new("x", 3, 0.0)
    assert not ids.is_new("x", 3, 0.0)
    assert ids.is_new("y", 0, 0.0)


def test_query_ids_are_forgotten_in_time() -> None:
    ids = QueryIds(seconds=30.0)
    ids.is_new("x", 2, 0.0)
    assert not ids.is_new("x", 2, 29.9)
    assert ids.is_new("x", 2, 30.1)


def test_only_so_many_query_ids_are_remembered() -> None:
    ids = QueryIds(most=10)
    for number in range(1000):
        assert ids.is_new(f"{number}", 0, 0.0)
    assert len(ids._seen) <= 10
    assert not ids.is_new("999", 0, 0.0)
    assert ids.is_new("0", 0, 0.0)


def test_waits_double_up_to_the_most_and_begin_again() -> None:
    backoff = Backoff(1.0, 5.0, lambda: 0.0)
    assert [backoff.after_failure() for _time in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    backoff.reset()
    assert backoff.after_failure() == 1.0


def test_waits_are_shortened_by_chance_and_at_most_by_half() -> None:
    assert Backoff(8.0, 8.0, lambda: 0.999).after_failure() > 4.0
    assert Backoff(8.0, 8.0, lambda: 0.5).after_failure() == 6.0


def test_ten_thousand_failures_are_no_overflow() -> None:
    backoff = Backoff(1.0, 5.0, lambda: 0.0)
    assert {backoff.after_failure() for _time in range(10_000)} == {1.0, 2.0, 4.0, 5.0}


def test_a_locator_rests_two_seconds_at_most() -> None:
    now = [0.0]
    rests = Rests(lambda: 0.0, lambda: now[0])
    assert not rests.rests("a:1")
    for _time in range(5):
        rests.failed("a:1")
    assert rests.rests("a:1")
    assert not rests.rests("b:1")
    now[0] += 2.0
    assert not rests.rests("a:1")
    rests.failed("a:1")
    rests.answered("a:1")
    assert not rests.rests("a:1")


def test_relays_leave_threads_of_the_peer_api_to_others() -> None:
    assert MAX_RELAYS < PEER_THREADS
