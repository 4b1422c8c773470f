"""Lookups without a locator in reach: rings, chains, partitions; and what a relay does."""

from dataclasses import replace

import pytest

from pserver.model import Query, Unavailable
from pserver.network.lookup import HOPS, TOTAL_SECONDS
from tests.pserver.fake_network import FakeQueries, Network, names, ring


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def locator() -> FakeQueries:
    return FakeQueries()


# --- no locator at all: rings, chains, partitions


def test_a_ring_answers_together_and_the_loop_dies(network: Network) -> None:
    ring(network, "ann", "bob", "cat")
    network.nodes["bob"].put("a", "same")
    file_id = network.nodes["cat"].put("b", "same")
    network.nodes["ann"].put("c", "same")
    answer = network.nodes["ann"].lookup_.locate([Query(file_id=file_id)])
    assert not answer.complete
    [[group]] = answer.results
    assert names(group.holders) == ["ann", "bob", "cat"]
    assert group.holder_count == 3
    assert answer.via == ["neighbour http://bob:1", "neighbour http://cat:1"]
    assert [len(node.asked) for node in network.nodes.values()] == [1, 1, 1], "cat asks ann, and there it ends"


def test_a_ring_with_one_locator_is_complete_by_whatever_way(network: Network, locator: FakeQueries) -> None:
    ring(network, "ann", "bob", "cat")
    network.nodes["cat"].locators = [locator]
    network.node("dan", locator=locator).put("a")
    answer = network.nodes["ann"].lookup_.locate([Query(name="a")])
    assert answer.complete
    assert answer.via == ["neighbour http://bob:1", "neighbour http://cat:1", "locator"]
    assert names(answer.results[0][0].holders) == ["dan"]


def test_a_cut_ring_is_answered_from_the_other_side(network: Network) -> None:
    for name, neighbours in (("ann", ("bob", "cat")), ("bob", ("cat",)), ("cat", ("bob",))):
        network.node(name, *neighbours)
    network.nodes["cat"].put("a")
    network.cut = {("ann", "bob"), ("bob", "cat")}
    [[group]] = network.nodes["ann"].lookup_.locate([Query(name="a")]).results
    assert names(group.holders) == ["cat"]
    network.cut = {("ann", "cat"), ("ann", "bob")}
    assert network.nodes["ann"].lookup_.locate([Query(name="a")]).results == [[]]


def test_a_partition_that_heals_is_whole_again(network: Network) -> None:
    ring(network, "ann", "bob", "cat")
    network.nodes["cat"].put("a")
    network.cut = {("bob", "cat")}
    assert network.nodes["ann"].lookup_.locate([Query(name="a")]).results == [[]]
    network.cut.clear()
    network.now += 31
    network.nodes["bob"].neighbours.tick(network.now)
    assert network.nodes["ann"].lookup_.locate([Query(name="a")]).results[0]


def test_hops_end_a_long_chain(network: Network) -> None:
    chain = [f"n{number}" for number in range(HOPS + 4)]
    for number, name in enumerate(chain):
        network.node(name, *chain[number + 1 : number + 2]).put("a", "same")
    [[group]] = network.nodes["n0"].lookup_.locate([Query(name="a")]).results
    assert names(group.holders) == chain[: HOPS + 2], "oneself, the neighbour, and as many more as hops"


def test_a_way_with_more_hops_left_goes_further_than_one_that_came_first(network: Network) -> None:
    # n0 -> a -> b -> c -> d takes all hops to reach d; n0 -> d reaches it with hops left for e.
    for name, neighbours in {
        "n0": ("a", "d"), "a": ("b",), "b": ("c",), "c": ("d",), "d": ("e",), "e": (),
    }.items():  # fmt: skip
        network.node(name, *neighbours)
    network.nodes["e"].put("x")
    assert network.nodes["n0"].lookup_.locate([Query(name="x")]).results[0]


def test_a_fully_meshed_network_is_asked_without_end(network: Network) -> None:
    members = [f"n{number}" for number in range(5)]
    for name in members:
        network.node(name, *(other for other in members if other != name)).put("a", "same")
    answer = network.nodes["n0"].lookup_.locate([Query(name="a")])
    assert names(answer.results[0][0].holders) == members
    assert sum(len(node.asked) for node in network.nodes.values()) < 300


def test_the_time_that_remains_travels_along(network: Network) -> None:
    network.node("ann", "bob")
    network.node("bob", "cat")
    network.node("cat")
    network.nodes["ann"].lookup_.locate([Query(name="a")])
    [(_bob, first)] = network.nodes["ann"].asked
    [(_cat, second)] = network.nodes["bob"].asked
    assert first.deadline_ms == TOTAL_SECONDS * 1000
    assert second.deadline_ms == pytest.approx(0.9 * first.deadline_ms, abs=1)
    assert (first.hops, second.hops) == (HOPS, HOPS - 1)
    assert first.query_id == second.query_id


def test_a_hung_peer_behind_a_relay_costs_the_asker_no_more_than_its_time(network: Network) -> None:
    ring(network, "ann", "bob", "cat")
    network.nodes["bob"].put("a")
    network.nodes["bob"].neighbours.tick(network.now)
    network.hung.add("cat")
    before = network.now
    [[group]] = network.nodes["ann"].lookup_.locate([Query(name="a")]).results
    assert names(group.holders) == ["bob"]
    assert network.now - before < TOTAL_SECONDS


# --- relays


def test_a_relay_does_not_ask_the_asker_back(network: Network) -> None:
    ann, bob = network.node("ann", "bob"), network.node("bob", "ann")
    bob.neighbours.tick(network.now)
    ann.lookup_.locate([Query(name="a")])
    assert bob.asked == []


def test_a_query_that_comes_again_is_not_answered_again(network: Network, locator: FakeQueries) -> None:
    ann, bob = network.node("ann", "bob"), network.node("bob", locator=locator)
    bob.put("a")
    ann.lookup_.locate([Query(name="a")])
    [(_name, request)] = ann.asked
    again = bob.lookup_.relay(request, ann.peer.peer_id)
    assert (again.complete, again.results) == (False, [[]])
    network.now += 31
    assert bob.lookup_.relay(request, ann.peer.peer_id).complete, "remembered for half a minute only"


def test_each_way_has_a_query_id_of_its_own(network: Network) -> None:
    ann = network.node("ann", "bob", "cat")
    network.node("bob", "cat")
    network.node("cat").put("a")
    network.nodes["bob"].distorts = lambda answer: replace(answer, results=[[]])  # lost what cat said
    assert ann.lookup_.locate([Query(name="a")]).results[0]


def test_relays_have_a_bounded_pool_in_which_nobody_takes_all(network: Network) -> None:
    bob = network.node("bob")
    request = network.node("ann", "bob").lookup_
    request.locate([Query(name="a")])
    [(_name, sent)] = network.nodes["ann"].asked
    with bob.lookup_._pool.place("x"), bob.lookup_._pool.place("x"), bob.lookup_._pool.place("x"):
        with bob.lookup_._pool.place("x"), pytest.raises(Unavailable):
            bob.lookup_.relay(replace(sent, query_id="1" * 32), "x")
        bob.lookup_.relay(replace(sent, query_id="1" * 32), "x")
