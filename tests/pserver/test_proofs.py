"""An address that is told in the news of a swarm is believed once it was proved, and asking costs little."""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pserver.exchange.engine import Bans
from pserver.exchange.news import News
from pserver.exchange.proofs import ASK_SECONDS, MOST_AT_ONCE, MOST_WAITING, PROVED_SECONDS, Proofs
from pserver.exchange.serving import Serving
from pserver.model import Peer, Refused, Unavailable
from pserver.remote.swarm_messages import SwarmNews

ANN, BOB = Peer("aa" * 32, "ann", "http://10.0.0.1:1"), Peer("bb" * 32, "bob", "http://10.0.0.2:1")


class Lab:
    """Proofs over pings that succeed at the addresses in `there`, with a clock and a queue of its own."""

    def __init__(self, *there: Peer) -> None:
        self.there = {(peer.peer_id, peer.url) for peer in there}
        self.asked: list[Peer] = []
        self.waiting: list[Callable[[], None]] = []
        self.now = 100.0
        self.proofs = Proofs(self.ping, lambda: self.now, self.waiting.append)
        self.serving = Serving(lambda: self.now, self.proofs)

    def ping(self, peer: Peer, _seconds: float) -> None:
        self.asked.append(peer)
        if (peer.peer_id, peer.url) not in self.there:
            raise Refused("another peer") if len(self.asked) % 2 else Unavailable("nobody")

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()

    def proves(self, peer: Peer) -> bool:
        if not self.proofs.proved(peer):
            self.proofs.look_into(peer, lambda: None)
            self.work()
        return self.proofs.proved(peer)

    def news_to(self, asker: Peer) -> list[Peer]:
        return [peer for peer, _ in self.serving.news(b"f" * 32, 8, None, asker, b"\0").others]


def moved(peer: Peer, url: str) -> Peer:
    return Peer(peer.peer_id, peer.name, url)


def test_what_answers_with_its_key_is_proved_for_a_while() -> None:
    lab = Lab(ANN)
    assert not lab.proofs.proved(ANN) and lab.proves(ANN) and lab.proves(ANN)
    assert lab.asked == [ANN]
    lab.now += PROVED_SECONDS
    assert not lab.proofs.proved(ANN) and lab.proves(ANN) and len(lab.asked) == 2


def test_of_all_the_addresses_claimed_for_a_peer_one_is_tried_in_a_while() -> None:
    lab = Lab()
    claims = [moved(ANN, f"http://10.0.0.{last}:1") for last in range(1, 200)]
    assert not any(lab.proves(claim) for claim in claims)
    assert lab.asked == claims[:1]
    lab.now += ASK_SECONDS
    assert not any(lab.proves(claim) for claim in claims) and len(lab.asked) == 2


def test_also_of_those_claimed_at_once() -> None:
    lab, told = Lab(moved(ANN, "http://10.0.0.9:1")), list[str]()
    taken = [lab.proofs.look_into(moved(ANN, f"http://10.0.0.{last}:1"), lambda: told.append("")) for last in (8, 9)]
    lab.work()
    assert taken == [True, False] and len(lab.asked) == 1 and not told


def test_a_false_claim_does_not_undo_a_proof() -> None:
    lab = Lab(ANN)
    assert lab.proves(ANN)
    lab.now += ASK_SECONDS
    assert not lab.proves(moved(ANN, "http://10.9.9.9:1")) and lab.proofs.proved(ANN)


def test_all_that_wait_for_the_same_proof_are_told() -> None:
    lab, told = Lab(ANN), list[int]()
    assert all(lab.proofs.look_into(ANN, functools.partial(told.append, number)) for number in range(3))
    assert not told
    lab.work()
    assert told == [0, 1, 2] and lab.asked == [ANN]


def test_others_are_told_of_an_asker_only_once_its_address_is_proved() -> None:
    lab = Lab(ANN, BOB)
    false = moved(ANN, "http://169.254.169.254:80")
    assert lab.news_to(false) == [] and lab.news_to(BOB) == []
    lab.work()
    assert lab.asked == [false, BOB] and lab.news_to(BOB) == []
    lab.now += ASK_SECONDS
    lab.news_to(ANN)
    lab.work()
    lab.news_to(ANN)
    assert lab.news_to(BOB) == [ANN]
    lab.news_to(false)  # it takes nothing back, and is not told
    assert lab.news_to(BOB) == [ANN]


def test_few_are_asked_at_once_and_few_wait_whatever_comes() -> None:
    lab = Lab()
    crowd = [Peer(f"{number:064x}", "x", "http://10.0.0.3:1") for number in range(MOST_WAITING * 2)]
    assert [lab.proofs.look_into(one, lambda: None) for one in crowd] == [True] * MOST_WAITING + [False] * MOST_WAITING
    assert len(lab.waiting) == MOST_AT_ONCE
    lab.work()
    assert lab.asked == crowd[:MOST_WAITING]
    assert lab.proofs.look_into(crowd[-1], lambda: None), "who was left is asked when it is told again"


def test_a_ping_that_breaks_holds_nothing_up() -> None:
    lab = Lab(BOB)

    def breaks(peer: Peer, seconds: float) -> None:
        if peer == ANN:
            raise RuntimeError("a bug")
        lab.ping(peer, seconds)

    lab.proofs = Proofs(breaks, lambda: lab.now, lab.waiting.append)
    for _ in range(MOST_AT_ONCE + 1):
        assert lab.proofs.look_into(ANN, lambda: None)
        with pytest.raises(RuntimeError):
            lab.work()
        lab.now += ASK_SECONDS
    assert lab.proves(BOB)


def told(lab: Lab, *answers: SwarmNews) -> tuple[News, Peer]:
    """The news of a download that gets these answers, one after another; and whom it may ask."""
    said = list(answers)
    engine: Any = SimpleNamespace(
        clock=lambda: lab.now,
        own=lambda: Peer("dd" * 32, "own", "http://10.0.0.5:1"),
        peers=SimpleNamespace(swarm=lambda *_: said.pop(0)),
        bans=Bans(1.0),
        proofs=lab.proofs,
    )
    partial: Any = SimpleNamespace(manifest=SimpleNamespace(piece_count=8), flags=bytes(8))
    return News(engine, b"f" * 32, partial), Peer("ee" * 32, "source", "http://10.0.0.6:1")


def test_what_a_source_tells_of_others_is_used_only_where_they_are_proved() -> None:
    lab, far = Lab(ANN), moved(BOB, "http://10.9.9.9:1")
    known = Peer("cc" * 32, "known", "http://10.0.0.4:1")
    answer = SwarmNews(None, [(ANN, b"\x80"), (far, b"\x80"), (known, b"\x80")])
    news, source = told(lab, answer, answer)
    found: list[Peer] = []

    def ask() -> tuple[list[Peer], bool]:
        heard, later = news.ask(source, {known.peer_id}, lambda peer, _: found.append(peer))
        return [peer for peer, _ in heard], later

    assert ask() == ([source, known], True)
    lab.work()
    assert found == [ANN] and lab.asked == [ANN, far], "who is known already is not asked again"
    assert ask() == ([source, ANN, known], False)


def test_a_promise_of_more_news_is_believed_for_a_while_only() -> None:
    lab = Lab()
    news, source = told(lab, *[SwarmNews(None, [], more=True)] * 2)
    assert news.ask(source, (), lambda *_: None) == ([(source, 255)], True)
    lab.now += 10
    assert news.ask(source, (), lambda *_: None) == ([(source, 255)], False)
