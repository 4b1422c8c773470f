"""A swarm in a simulated world, for tests: one seed, many peers, each with the real plan and the real chooser.

Links are as fast up as down; what a peer sends at a time is shared evenly by those it sends to, and what it receives
cannot be faster than its link. Time goes in steps. It is the same in each run.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from pserver.exchange.asks import Ask, PlanLimits
from pserver.exchange.plan import Plan
from pserver.exchange.swarm import Swarm
from pserver.model import Peer

PIECE = 1 << 18
LINK = 10e6  # bytes a second, each way
ANSWER_SECONDS = 0.03  # from a request until its answer begins
_NEWS_SECONDS = 0.25  # how often a peer asks one that it knows for news of the others
_MOST_OTHERS = 16
_MOST_SERVED = 32


@dataclass
class Sending:
    """A piece on its way from `server` to `asker`."""

    ask: Ask
    server: "Member"
    asker: "Member"
    run: range
    begins: float
    left: float = PIECE
    over: float = 0.0  # seconds before the end of the step in which it arrived


@dataclass
class Member:
    """A peer of the swarm."""

    name: str
    swarm: Swarm
    plan: Plan | None  # the seed has none
    peer: Peer
    has: int = 0
    serving: int = 0
    received: int = 0
    finished: float | None = None
    next_news: float = 0.0
    meeting: list[str] = field(default_factory=list)


class SwarmWorld:
    """`peers` downloaders of a file of `pieces`, and a seed; `run` tells how long it took them."""

    def __init__(self, peers: int, pieces: int, step: float = 0.02, limits: PlanLimits | None = None) -> None:
        chance = random.Random(7)
        self.chance, self.pieces, self.step, self.now = chance, pieces, step, 0.0
        self.everything = (1 << pieces) - 1
        self.doubled = self.refused = 0
        self.seed = self._member("seed", None)
        self.seed.has = self.everything
        chances = [random.Random(chance.random()) for _ in range(peers)]
        self.peers = [
            self._member(f"p{n}", Plan(PIECE, bytes(pieces), limits or PlanLimits(), chances[n])) for n in range(peers)
        ]
        self.members = {member.name: member for member in (self.seed, *self.peers)}
        self.sendings: list[Sending] = []

    def _member(self, name: str, plan: Plan | None) -> Member:
        swarm = Swarm(random.Random(self.chance.random()))
        return Member(name, swarm, plan, Peer(name, name, ""), next_news=self.chance.random() * _NEWS_SECONDS)

    def run(self) -> float:
        """Seconds until the last has everything."""
        for one in self.peers:
            assert one.plan is not None
            one.plan.add_source("seed", "seed", None, 0.0)
            self._ask(one)
        while any(one.finished is None for one in self.peers):
            assert self.now < 1000, "it does not end"
            self.now += self.step
            self._gossip()
            self._move()
        return max(one.finished or 0.0 for one in self.peers)

    def bound(self) -> float:
        """The least time that any way of doing it needs."""
        size, count = self.pieces * PIECE, len(self.peers)
        return max(size / LINK, count * size / (LINK * (count + 1)))

    def _gossip(self) -> None:
        for one in self.peers:
            if one.finished is None and self.now >= one.next_news:
                one.next_news = self.now + _NEWS_SECONDS
                assert one.plan is not None
                known = [source.key for source in one.plan.sources() if source.usable]
                asked = self.members[self.chance.choice(known)]
                asked.swarm.met(one.name, one.peer, one.has, self.now)
                if len(known) < _MOST_OTHERS * 2:
                    for peer, has in asked.swarm.others(one.name, _MOST_OTHERS, self.now):
                        self._learn(one, peer.peer_id, has)
                if asked is not self.seed:
                    self._learn(one, asked.name, asked.has)
                self._ask(one)

    def _learn(self, one: Member, name: str, has: int) -> None:
        assert one.plan is not None
        mask = None if has == self.everything else has
        if one.plan.knows(name):
            one.plan.learnt(name, mask)
        else:
            one.plan.add_source(name, name, mask, self.now)

    def _ask(self, one: Member, ago: float = 0.0) -> None:
        assert one.plan is not None
        for ask in one.plan.decide(self.now, 32).asks:
            server = self.members[ask.source]
            server.swarm.met(one.name, one.peer, one.has, self.now)
            if server.plan is not None and server.plan.knows(one.name):
                server.plan.learnt(one.name, one.has)
            choices = ask.choices or 1 << ask.first
            run = None if server.serving >= _MOST_SERVED else server.swarm.give(choices, server.has, ask.most)
            if run is None:
                self.refused += 1
                self._learn(one, ask.source, server.has)
                one.plan.failed(ask.number, "lacks" if server.serving < _MOST_SERVED else "busy", "", self.now)
            elif ask.choices and not one.plan.chosen(ask.number, run):
                one.plan.ended(ask.number)
                self.doubled += 1
            else:
                server.serving += 1
                self.sendings.append(Sending(ask, server, one, run, self.now - ago + ANSWER_SECONDS))

    def _move(self) -> None:
        """One step of all that is being sent."""
        moving = [one for one in self.sendings if one.begins < self.now]
        arrived = []
        for one, share in zip(moving, _shares(moving), strict=True):
            one.left -= LINK * share * min(self.step, self.now - one.begins)
            if one.left <= 0:
                one.over = -one.left / (LINK * share)
                arrived.append(one)
        if arrived:
            gone = set(map(id, arrived))
            self.sendings = [one for one in self.sendings if id(one) not in gone]
        for one in arrived:
            self._arrive(one)

    def _arrive(self, one: Sending) -> None:
        asker, piece = one.asker, one.run.start
        plan = asker.plan
        assert plan is not None
        asker.received += 1
        plan.arrived(one.ask.number, PIECE, self.now)
        if plan.next_piece(one.ask.number) == piece and plan.verified(one.ask.number, piece):
            asker.has |= 1 << piece
        else:
            self.doubled += 1
        one.run = one.run[1:]
        if one.run and plan.next_piece(one.ask.number) == one.run.start:
            one.left, one.begins = PIECE, self.now - one.over
            self.sendings.append(one)
            return
        one.server.serving -= 1
        plan.ended(one.ask.number)
        if one.server is not self.seed:
            self._learn(asker, one.server.name, one.server.has)
        if plan.finished:
            asker.finished = asker.finished or self.now
        else:
            self._ask(asker, one.over)


def _shares(sendings: list[Sending]) -> list[float]:
    """The part of a link that each gets: what a server sends is shared evenly, but no asker gets more than its link.

    What a server cannot send to askers whose link is full goes to its others.
    """
    shares = [1.0] * len(sendings)
    for _ in range(3):
        up = _sums((one.server.name for one in sendings), shares)
        shares = [share / up[one.server.name] for one, share in zip(sendings, shares, strict=True)]
        down = _sums((one.asker.name for one in sendings), shares)
        shares = [share / max(1.0, down[one.asker.name]) for one, share in zip(sendings, shares, strict=True)]
    return shares


def _sums(names: Iterable[str], values: list[float]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, value in zip(names, values, strict=True):
        sums[name] = sums.get(name, 0.0) + value
    return sums
