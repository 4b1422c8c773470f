"""Lookups that are searches and lists, and those of the download engine."""

import pytest

from pserver.model import InvalidRequest, NotFound, Refused, Unavailable
from tests.pserver.fake_network import FakeQueries, Network, names, ring


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def locator() -> FakeQueries:
    return FakeQueries()


# --- searches and lists


def test_search_with_pages_and_own_files_that_the_locator_does_not_know_yet(
    network: Network, locator: FakeQueries
) -> None:
    ann = network.node("ann", "bob", locator=locator)
    bob = network.node("bob", locator=locator)
    for number in range(5):
        bob.put(f"report {number}")
    bob.put("report mine", "mine")
    locator.peers.remove(ann)
    ann.put("my report", "mine")
    ann.put("report of mine", "unknown yet")
    first = ann.lookup_.search("report", page_size=3)
    assert [group.names[0] for group in first.groups] == [
        "report 0",
        "report 1",
        "report 2",
        "my report",
        "report of mine",
    ]
    rest = ann.lookup_.search("report", page_size=3, page_token=first.next_page_token)
    assert [group.names[0] for group in rest.groups] == ["report 3", "report 4"], "mine was on the first page"
    assert rest.next_page_token == ""


def test_a_search_without_locators_is_one_page_of_everybody(network: Network) -> None:
    ring(network, "ann", "bob", "cat")
    for name, node in network.nodes.items():
        node.put(f"{name} report", "same")
    answer = network.nodes["ann"].lookup_.search("report")
    assert not answer.complete
    [group] = answer.groups
    assert names(group.holders) == ["ann", "bob", "cat"]
    assert answer.next_page_token == ""


def test_a_search_that_is_too_broad_says_so(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", "bob", locator=locator)
    network.node("bob", locator=locator)
    locator.fails = InvalidRequest("use more words")
    with pytest.raises(InvalidRequest, match="more words"):
        ann.lookup_.search("a")
    assert [state for _peer, state in ann.neighbours.statuses()] == ["ok"]


def test_a_locator_that_refuses_us_is_a_way_that_failed(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", locator=locator)
    locator.fails = Refused("the token has expired; is the clock right?")
    assert not ann.lookup_.search("a").complete


def test_peers_with_and_without_a_locator(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", "bob", locator=locator)
    bob = network.node("bob", locator=locator)
    bob.put("docs/a")
    answer = ann.lookup_.peers()
    assert [(info.peer.name, info.files) for info in answer.peers] == [("ann", 0), ("bob", 1)]
    assert [info.heartbeat_age for info in answer.peers] == [None, 1.0]
    locator.fails = Unavailable("away")
    answer = ann.lookup_.peers()
    assert not answer.complete
    assert [(info.peer.name, info.heartbeat_age) for info in answer.peers] == [("ann", None), ("bob", None)]
    assert [info.peer.name for info in ann.lookup_.peers(match="bob").peers] == ["bob"]
    assert [info.peer.name for info in ann.lookup_.peers(match=ann.peer.peer_id[:8]).peers] == ["ann"]
    assert [info.peer.name for info in ann.lookup_.peers(folder="docs/").peers] == ["bob"]


def test_the_own_peer_is_on_the_first_page_and_on_no_other(network: Network, locator: FakeQueries) -> None:
    for name in ("bob", "cat", "dan"):
        network.node(name, locator=locator)
    ann = network.node("ann", locator=locator)
    seen, token = [], ""
    while True:
        page = ann.lookup_.peers(page_size=2, page_token=token)
        seen += [info.peer.name for info in page.peers]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["ann", "bob", "cat", "dan"]


def test_files_of_a_peer(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", "bob", locator=locator)
    bob, cat = network.node("bob", locator=locator), network.node("cat", locator=locator)
    for name in ("docs/a", "docs/b", "x"):
        cat.put(name)
    first = ann.lookup_.files(cat.peer.peer_id, "docs/", 1)
    assert ([each.name for each in first.files], first.complete) == (["docs/a"], True)
    rest = ann.lookup_.files(cat.peer.peer_id, "docs/", 1, first.next_page_token)
    assert [each.name for each in rest.files] == ["docs/b"]
    assert ann.lookup_.files(bob.peer.peer_id).files == []
    with pytest.raises(NotFound):
        ann.lookup_.files("f" * 64)


def test_own_files_are_not_asked_of_anybody(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", "bob", locator=locator)
    ann.put("a")
    answer = ann.lookup_.files(ann.peer.peer_id)
    assert ([each.name for each in answer.files], answer.complete, answer.via) == (["a"], True, ["own share"])
    assert locator.asked == []


def test_files_of_a_peer_that_only_another_peer_can_reach(network: Network) -> None:
    ring(network, "ann", "bob", "cat")
    cat = network.nodes["cat"]
    cat.put("a")
    answer = network.nodes["ann"].lookup_.files(cat.peer.peer_id)
    assert [each.name for each in answer.files] == ["a"]
    with pytest.raises(NotFound):
        network.nodes["ann"].lookup_.files("f" * 64)


def test_files_of_a_partitioned_neighbour_that_the_locator_forgot(network: Network, locator: FakeQueries) -> None:
    ann, bob = network.node("ann", "bob", locator=locator), network.node("bob")
    bob.put("a")
    assert [each.name for each in ann.lookup_.files(bob.peer.peer_id).files] == ["a"]


# --- for the download engine


def test_find_holders(network: Network, locator: FakeQueries) -> None:
    ann = network.node("ann", "bob", locator=locator)
    bob, cat = network.node("bob", locator=locator), network.node("cat", locator=locator)
    first, second = bob.put("a"), cat.put("b")
    cat.put("also a", "a")
    found = ann.lookup_.find_holders([first, second, bytes(32)])
    assert {file_id: names(group.holders) for file_id, group in found.items()} == {
        first: ["bob", "cat"],
        second: ["cat"],
    }
    assert ann.lookup_.find_holders([]) == {}
