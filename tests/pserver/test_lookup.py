"""Lookups over several peers: which way they go, and what comes of it when ways fail."""

from dataclasses import replace

import pytest

from pserver.model import LookupAnswer, Query, Unavailable
from pserver.network.lookup import TOTAL_SECONDS
from pserver.remote.peer_http import PeerBusy
from tests.pserver.fake_network import FakeQueries, Network, names


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def locator() -> FakeQueries:
    return FakeQueries()


# --- the plain three tiers


def test_a_lookup_goes_through_the_neighbour_to_its_locator(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", "bob", locator=locator)
    network.node("bob", locator=locator)
    file_id = network.node("cat", locator=locator).put("docs/report.pdf")
    answer = ann.lookup_.locate([Query(name="docs/report.pdf"), Query(name="nothing")])
    assert answer.complete
    assert answer.via == ["neighbour http://bob:1", "locator"]
    assert [[group.file_id for group in groups] for groups in answer.results] == [[file_id], []]
    assert names(answer.results[0][0].holders) == ["cat"]
    assert locator.asked == ["locate"]


def test_own_holdings_are_added(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", "bob", locator=locator)
    network.node("bob", locator=locator).put("a", "same")
    locator.peers.remove(ann)  # it does not know her yet
    file_id = ann.put("b", "same")
    [[group]] = ann.lookup_.locate([Query(file_id=file_id)]).results
    assert names(group.holders) == ["ann", "bob"]
    assert (group.names, group.holder_count) == (["b", "a"], 2)


def test_without_neighbours_the_locator_is_asked_straight(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", locator=locator)
    answer = ann.lookup_.locate([Query(name="a")])
    assert (answer.complete, answer.via) == (True, ["locator"])


def test_the_neighbours_are_those_assigned_if_none_are_set(network: Network, locator: FakeQueries) -> None:
    ann, bob = network.node("ann", locator=locator), network.node("bob", locator=locator)
    ann.assigned = [ann.peer, bob.peer]
    answer = ann.lookup_.locate([Query(name="a")])
    assert answer.via == ["neighbour bob", "locator"]


def test_nobody_at_all_is_an_incomplete_answer_with_what_is_here(network: Network) -> None:
    ann = network.node("ann")
    ann.put("a")
    answer = ann.lookup_.locate([Query(name="a"), Query(name="b")])
    assert (answer.complete, answer.via) == (False, ["own share"])
    assert [len(groups) for groups in answer.results] == [1, 0]


def test_more_queries_than_one_lookup_may_have(network: Network, locator: FakeQueries) -> None:
    ann, bob = network.node("ann", "bob", locator=locator), network.node("bob", locator=locator)
    for number in (0, 255, 256, 599):
        bob.put(f"{number}")
    results = ann.lookup_.locate([Query(name=f"{number}") for number in range(600)]).results
    assert [number for number, groups in enumerate(results) if groups] == [0, 255, 256, 599]
    assert locator.asked == ["locate"] * 3


# --- other ways


def test_a_dead_neighbour_is_skipped_and_left_out_for_a_while(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", "bob", "cat", locator=locator)
    network.node("bob", locator=locator)
    network.node("cat", locator=locator)
    network.silent.add("bob")
    before = network.now
    assert ann.lookup_.locate([Query(name="a")]).via == ["neighbour http://cat:1", "locator"]
    assert network.now - before <= 1.0
    before = network.now
    assert ann.lookup_.locate([Query(name="a")]).complete
    assert network.now == before, "it is not even asked"
    assert [state for _peer, state in ann.neighbours.statuses()] == ["dead", "ok"]


def test_a_hung_neighbour_takes_a_second_and_no_more(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", "bob", locator=locator)
    network.node("bob", locator=locator)
    ann.neighbours.tick(network.now)
    network.hung.add("bob")
    before = network.now
    answer = ann.lookup_.locate([Query(name="a")])
    assert (answer.complete, answer.via) == (True, ["locator"])
    assert network.now - before <= 1.0


def test_all_ways_hung_is_over_in_time(network: Network, locator: FakeQueries) -> None:
    others = [f"n{number}" for number in range(8)]
    ann = network.node("ann", *others, locator=locator)
    for name in others:
        network.node(name, locator=locator)
    network.hung.update(others)
    locator.hangs = True
    before = network.now
    assert not ann.lookup_.locate([Query(name="a")]).complete
    assert network.now - before <= TOTAL_SECONDS + 0.001


def test_a_neighbour_cut_off_from_the_locator_is_not_the_end(network: Network, locator: FakeQueries) -> None:
    ann, bob = network.node("ann", "bob", locator=locator), network.node("bob")
    network.node("cat", locator=locator).put("a", "same")
    bob.put("a", "same")
    answer = ann.lookup_.locate([Query(name="a")])
    assert answer.complete
    assert answer.via == ["neighbour http://bob:1", "locator"]
    assert names(answer.results[0][0].holders) == ["bob", "cat"]


def test_the_own_locator_away_the_neighbours_is_asked(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", "bob", locator=FakeQueries("away:1", fails=Unavailable("away")))
    network.node("bob", locator=locator)
    network.node("cat", locator=locator).put("a")
    answer = ann.lookup_.locate([Query(name="a")])
    assert answer.complete
    assert names(answer.results[0][0].holders) == ["cat"]


def test_a_locator_that_did_not_answer_is_asked_last_and_soon_again(network: Network) -> None:
    away, there = FakeQueries("away:1", fails=Unavailable("away")), FakeQueries("there:2")
    ann = network.node("ann", locator=away)
    ann.locators.append(there)
    for _time in range(3):
        assert ann.lookup_.locate([Query(name="a")]).complete
    assert (away.asked, there.asked) == (["locate"], ["locate"] * 3)
    there.fails, away.fails = Unavailable("away too"), None
    assert ann.lookup_.locate([Query(name="a")]).complete, "better than nothing"
    network.now += 2.1
    there.fails = None
    ann.lookup_.locate([Query(name="a")])
    assert len(away.asked) == 3


def test_dead_neighbours_are_asked_when_there_is_nobody_else(network: Network) -> None:
    ann, bob = network.node("ann", "bob"), network.node("bob")
    bob.put("a")
    network.dead.add("bob")
    assert ann.lookup_.locate([Query(name="a")]).results == [[]]
    network.dead.clear()
    [[group]] = ann.lookup_.locate([Query(name="a")]).results
    assert names(group.holders) == ["bob"]


def test_a_busy_neighbour_is_passed_by_and_not_dead(
    network: Network, locator: FakeQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = network.node("ann", "bob", locator=locator), network.node("bob", locator=locator)

    def busy(*_arguments: object) -> LookupAnswer:
        raise PeerBusy("too much to do")

    monkeypatch.setattr(bob.lookup_, "relay", busy)
    assert ann.lookup_.locate([Query(name="a")]).via == ["locator"]
    assert [state for _peer, state in ann.neighbours.statuses()] != ["dead"]


def test_a_neighbour_that_answers_nonsense_is_left_out(network: Network, locator: FakeQueries) -> None:
    ann, bob = network.node("ann", "bob", locator=locator), network.node("bob", locator=locator)
    bob.distorts = lambda answer: replace(answer, results=[])
    assert ann.lookup_.locate([Query(name="a")]).via == ["locator"]
    assert [state for _peer, state in ann.neighbours.statuses()] == ["dead"]


def test_answers_that_do_not_fit_the_question_are_dropped(network: Network) -> None:
    ann, bob = network.node("ann", "bob"), network.node("bob")
    wanted = bob.put("wanted")
    other = bob.lookup_.locate([Query(name="wanted")]).results[0][0]
    bob.distorts = lambda answer: replace(answer, results=[[replace(other, file_id=bytes(32)), other]])
    [groups] = ann.lookup_.locate([Query(file_id=wanted)]).results
    assert [group.file_id for group in groups] == [wanted]
    [groups] = ann.lookup_.locate([Query(sha256=bytes(32))]).results
    assert groups == []


def test_a_sha256_is_answered_with_holders_that_checked_it(network: Network) -> None:
    ann, bob = network.node("ann", "bob", "cat"), network.node("bob")
    network.node("cat").put("a", "same", checked=False)
    bob.put("a", "same")
    sha256 = bob.lookup_.locate([Query(name="a")]).results[0][0].sha256
    [[group]] = ann.lookup_.locate([Query(sha256=sha256)]).results
    assert names(group.holders) == ["bob"]
    bob.distorts = lambda answer: replace(
        answer,
        results=[[replace(each, holders=[replace(h, sha256_checked=False) for h in each.holders]) for each in groups]
                 for groups in answer.results],
    )  # fmt: skip
    assert ann.lookup_.locate([Query(sha256=sha256)]).results == [[]]
