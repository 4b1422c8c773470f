"""A swarm in a simulated world, for tests: one seed, many peers, each with the real plan and the real chooser.

What surrounds them is as pull.py, serving.py and news.py do it: how many a peer serves at once, what a refused one is
told, when news are asked for and what they bring. It is the same in each run.
"""

import heapq
import random
from dataclasses import dataclass

from pserver.exchange.asks import Ask, PlanLimits
from pserver.exchange.news import _CROWD_SECONDS, _HUNGRY_SECONDS
from pserver.exchange.plan import Plan
from pserver.exchange.pull import _MOST_PEERS
from pserver.exchange.sources import Failure
from pserver.exchange.swarm import Swarm
from pserver.model import Peer
from pserver.remote.swarm_messages import MOST_OTHERS
from tests.pserver.swarm_links import Links

PIECE = 1 << 18
LINK = 10e6  # bytes a second, each way
ANSWER_SECONDS = 0.03  # from a request until its answer begins


@dataclass
class Sending:
    """Pieces on their way from `server` to `asker`."""

    ask: Ask
    server: "Member"
    asker: "Member"
    run: range


@dataclass
class Member:
    """A peer of the swarm."""

    number: int
    name: str
    swarm: Swarm
    plan: Plan | None  # the seed has none
    peer: Peer
    has: int = 0
    serving: int = 0
    asked: int = 0  # how often it was asked for pieces
    finished: float | None = None
    next_news: float = 0.0


class SwarmWorld:
    """`peers` downloaders of a file of `pieces`, and a seed; `run` tells how long it took them."""

    def __init__(self, peers: int, pieces: int, step: float = 0.02, limits: PlanLimits | None = None) -> None:
        chance = random.Random(7)
        self.chance, self.pieces, self.step, self.now = chance, pieces, step, 0.0
        self.everything = (1 << pieces) - 1
        self.doubled = self.refused = 0
        self.seed = self._member(0, None)
        self.seed.has = self.everything
        chances = [random.Random(chance.random()) for _ in range(peers)]
        plans = (Plan(PIECE, bytes(pieces), limits or PlanLimits(), chances[n]) for n in range(peers))
        self.peers = [self._member(number, plan) for number, plan in enumerate(plans, 1)]
        self.members = {member.name: member for member in (self.seed, *self.peers)}
        self.links = Links(peers + 1, LINK)
        self.sendings: dict[int, Sending] = {}
        self.refusals: list[tuple[float, int, int, Failure]] = []  # when, whose (its number), which ask, why

    def _member(self, number: int, plan: Plan | None) -> Member:
        name, swarm = f"p{number}", Swarm(random.Random(self.chance.random()))
        return Member(number, name, swarm, plan, Peer(name, name, ""), next_news=self.chance.random() * _CROWD_SECONDS)

    def run(self) -> float:
        """Seconds until the last has everything."""
        for one in self.peers:
            _plan(one).add_source(self.seed.name, "seed", None, 0.0)
            self._ask(one)
        while any(one.finished is None for one in self.peers):
            assert self.now < 1000, "it does not end"
            self.now += self.step
            self._tell_news()
            self._tell_refused()
            for number, ago in self.links.move(self.now, self.step):
                self._arrive(number, self.sendings[number], ago)
        return max(one.finished or 0.0 for one in self.peers)

    def bound(self) -> float:
        """The least time that any way of doing it needs."""
        size, count = self.pieces * PIECE, len(self.peers)
        return max(size / LINK, count * size / (LINK * (count + 1)))

    def _tell_news(self) -> None:
        for one in self.peers:
            if one.finished is None and self.now >= one.next_news:
                plan = _plan(one)
                one.next_news = self.now + (_HUNGRY_SECONDS if plan.hungry else _CROWD_SECONDS)
                known = [source.key for source in plan.sources() if source.usable]
                asked = self.members[self.chance.choice(known)]
                asked.swarm.met(one.name, one.peer, one.has, self.now)
                self._learn(one, asked.name, asked.has)
                room = _MOST_PEERS - len(list(plan.sources()))
                for peer, has in asked.swarm.others(one.name, MOST_OTHERS, self.now):
                    room -= not plan.knows(peer.peer_id)
                    if plan.knows(peer.peer_id) or room >= 0:
                        plan.add_source(peer.peer_id, peer.name, self._mask(has), self.now)
                self._ask(one)

    def _learn(self, one: Member, name: str, has: int) -> None:
        if _plan(one).knows(name):
            _plan(one).learnt(name, self._mask(has))
        else:
            _plan(one).add_source(name, name, self._mask(has), self.now)

    def _mask(self, has: int) -> int | None:
        return None if has == self.everything else has

    def _ask(self, one: Member, ago: float = 0.0) -> None:
        for ask in _plan(one).decide(self.now, 32).asks:
            server = self.members[ask.source]
            server.asked += 1
            server.swarm.met(one.name, None, one.has, self.now)  # an address is told with news only
            if server.plan is not None and server.plan.knows(one.name):
                server.plan.learnt(one.name, one.has)
            self._answer(ask, server, one, self.now - ago + ANSWER_SECONDS)

    def _answer(self, ask: Ask, server: Member, one: Member, when: float) -> None:
        busy = server.serving >= server.swarm.most_at_once
        run = None if busy else server.swarm.give(ask.choices or 1 << ask.first, server.has, ask.most)
        if run is None:
            self.refused += 1
            heapq.heappush(self.refusals, (when, one.number, ask.number, "busy" if busy else "lacks"))
        elif ask.choices and not _plan(one).chosen(ask.number, run):
            _plan(one).ended(ask.number)
            self.doubled += 1
        else:
            server.serving += 1
            number = self.links.begin(server.number, one.number, PIECE, when)
            self.sendings[number] = Sending(ask, server, one, run)

    def _tell_refused(self) -> None:
        while self.refusals and self.refusals[0][0] <= self.now:
            _, number, ask, failure = heapq.heappop(self.refusals)
            one = self.peers[number - 1]
            _plan(one).failed(ask, failure, "", self.now)
            self._ask(one)

    def _arrive(self, number: int, one: Sending, ago: float) -> None:
        """A piece of that sending came so many seconds ago."""
        asker, piece, plan = one.asker, one.run.start, _plan(one.asker)
        plan.arrived(one.ask.number, PIECE, self.now)
        if plan.next_piece(one.ask.number) == piece and plan.verified(one.ask.number, piece):
            asker.has |= 1 << piece
        else:
            self.doubled += 1
        one.run = one.run[1:]
        if one.run and plan.next_piece(one.ask.number) == one.run.start:
            self.links.go_on(number, PIECE, self.now - ago)
            return
        self.links.end(number)
        del self.sendings[number]
        one.server.serving -= 1
        plan.ended(one.ask.number)
        self._learn(asker, one.server.name, one.server.has)
        if plan.finished:
            asker.finished = asker.finished or self.now
        else:
            self._ask(asker, ago)


def _plan(one: Member) -> Plan:
    assert one.plan is not None
    return one.plan
