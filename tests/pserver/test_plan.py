"""The planner, played every order of events; and its speed in a simulated world of slow and fast sources."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pserver.exchange.asks import Ask, PlanLimits
from pserver.exchange.crowd import _MOST_MORE
from pserver.exchange.plan import Plan
from pserver.exchange.sources import Failure, SourceLimits

PIECE = 1 << 18
LIMITS = PlanLimits(sources=3, each=SourceLimits(connections=2, failures=4))
FAILURES: tuple[Failure, ...] = ("dead", "stalled", "busy", "lacks", "gone", "refused", "changed")


def plan_of(pieces: int, limits: PlanLimits = LIMITS) -> Plan:
    return Plan(PIECE, bytes(pieces), limits)


class World:
    """Plays the sources and checks every decision against the rules. `liars` send only wrong pieces."""

    def __init__(self, pieces: int, liars: frozenset[str] = frozenset()) -> None:
        self.plan = plan_of(pieces)
        self.liars = liars
        self.now = 0.0
        self.flights: dict[int, Ask] = {}
        self.verified: set[int] = set()
        self.wasted: Counter[str] = Counter()
        self.partial: dict[str, set[int]] = {}
        self.crowded = False  # then one that is behind the others asks more of them
        self.unnamed: dict[int, list[int]] = {}  # choices of which the source has not chosen yet

    def decide(self, room: int = 99) -> None:
        decision = self.plan.decide(self.now, room)
        for number in decision.aborts:
            self.flights.pop(number, None)
        assert len(decision.asks) <= room
        for ask in decision.asks:
            run = set(range(ask.first, ask.first + ask.count))
            assert ask.count >= 1
            assert not run & self.verified, "a piece that verified is never asked for"
            assert run <= self.partial.get(ask.source, run), "a source is only asked for what it has"
            if ask.choices:
                assert ask.count == 1 and ask.choices >> ask.first & 1
                choices = {piece for piece in range(PIECES) if ask.choices >> piece & 1}
                assert not choices & self.verified
                assert choices <= self.partial.get(ask.source, choices)
                self.unnamed[ask.number] = sorted(choices)
            self.flights[ask.number] = ask
        each = Counter(ask.source for ask in self.flights.values())
        assert max(each.values(), default=0) <= LIMITS.each.connections
        self.crowded = self.crowded or self.plan.crowded
        assert len(each) <= LIMITS.sources + (_MOST_MORE if self.crowded else 0)
        assert self.plan.in_flight == len(self.flights)

    def deliver(self, ask: Ask) -> None:
        """The source sends the next piece of that request, and hangs up when it was the last."""
        choices = self.unnamed.pop(ask.number, [])
        if choices:
            first = choices[self.plan.in_flight * 7 % len(choices)]
            run = range(first, first + (2 if ask.most > 1 and first + 1 in choices else 1))
            if not self.plan.chosen(ask.number, run):
                self.end(ask)
                return
        piece = self.plan.next_piece(ask.number)
        if piece is None:
            self.end(ask)
            return
        self.plan.arrived(ask.number, PIECE, self.now)
        if ask.source in self.liars:
            self.wasted[ask.source] += 1
            self.fail(ask, "lied")
            return
        first = self.plan.verified(ask.number, piece)
        assert first == (piece not in self.verified), "the first that verifies wins"
        self.verified.add(piece)
        if self.plan.next_piece(ask.number) is None:
            self.end(ask)

    def end(self, ask: Ask) -> None:
        self.flights.pop(ask.number, None)
        self.plan.ended(ask.number)

    def fail(self, ask: Ask, failure: Failure) -> None:
        self.flights.pop(ask.number, None)
        self.plan.failed(ask.number, failure, f"{ask.source} {failure}", self.now)

    def flight(self, choice: int) -> Ask | None:
        flights = sorted(self.flights.values(), key=lambda ask: ask.number)
        return flights[choice % len(flights)] if flights else None


EVENT = st.tuples(st.sampled_from(["deliver", "fail", "wait", "find", "lose", "tell", "late"]), st.integers(0, 1 << 16))


def play(world: World, event: str, choice: int, names: list[str]) -> None:
    ask, name = world.flight(choice), names[choice % len(names)]
    if event == "deliver" and ask is not None:
        world.deliver(ask)
    elif event == "fail" and ask is not None and ask.source != "good":
        world.fail(ask, FAILURES[choice % len(FAILURES)])
    elif event == "wait":
        world.now += choice % 7
    elif event == "find":
        has = world.partial.get(name)
        mask = None if has is None else sum(1 << piece for piece in has)
        world.plan.add_source(name, name, mask, world.now)
    elif event == "lose" and name != "good":
        world.plan.lose_source(name, FAILURES[choice % len(FAILURES)], "lost", world.now)
    elif event == "tell":
        world.partial[name] = world.partial.get(name, set(range(PIECES))) | {choice % PIECES}
        world.plan.learnt(name, sum(1 << piece for piece in world.partial[name]))
    elif event == "late":  # what comes for a request that is long over changes nothing
        world.plan.arrived(10_000 + choice, 5, world.now)
        world.plan.ended(10_000 + choice)
        world.plan.failed(10_000 + choice, "dead", "", world.now)


PIECES = 24


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENT, max_size=120), st.integers(0, 5), st.integers(1, 3))
def test_whatever_happens_one_honest_source_finishes_it(events: list[tuple[str, int]], liars: int, room: int) -> None:
    names = ["good", *(f"liar {n}" for n in range(liars)), "flaky", "even"]
    world = World(PIECES, frozenset(name for name in names if name.startswith("liar")))
    world.partial["even"] = set(range(0, PIECES, 2))
    for event, choice in events:
        play(world, event, choice, names)
        world.decide(room)
    for name in names:
        play(world, "find", names.index(name), names)
    for _ in range(40 * PIECES):
        if world.plan.finished:
            break
        world.now += 0.5
        world.decide(room)
        for ask in list(world.flights.values()):
            world.deliver(ask)
    assert world.plan.finished
    assert world.verified == set(range(PIECES))
    assert max(world.wasted.values(), default=0) <= 2, "at most two wasted pieces a liar"
    assert world.plan.stuck(world.now) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(FAILURES), min_size=1, max_size=4), st.integers(1, 5))
def test_without_a_good_source_it_ends_with_a_reason(failures: list[Failure], sources: int) -> None:
    world = World(4)
    for number in range(sources):
        world.plan.add_source(f"s{number}", f"peer {number}", None, 0.0)
    asked = 0
    for step in range(1000):
        world.now += 1.0
        world.decide()
        asked += len(world.flights)
        for ask in list(world.flights.values()):
            world.fail(ask, failures[step % len(failures)])
    assert not world.flights, "nothing retries for ever"
    assert asked <= sources * (LIMITS.each.failures + LIMITS.each.refusals)
    assert (world.plan.stuck(world.now) or "").startswith("no source left: s")


@given(st.lists(st.booleans(), max_size=40))
def test_only_what_is_missing_is_asked_for(there: list[bool]) -> None:
    world = World(0)
    world.plan = Plan(PIECE, bytes(there), LIMITS)
    world.plan.add_source("good", "good", None, 0.0)
    world.verified = {piece for piece, is_there in enumerate(there) if is_there}
    for _ in range(100):
        world.decide()
        for ask in list(world.flights.values()):
            world.deliver(ask)
    assert world.plan.finished
    assert world.verified == set(range(len(there)))


def test_a_new_source_gets_one_piece_on_one_connection_until_it_proves_good() -> None:
    world = World(100)
    world.plan.add_source("a", "a", None, 0.0)
    world.decide()
    [first] = world.flights.values()
    assert first.count == 1
    world.now = 0.1
    world.deliver(first)
    world.decide()
    assert len(world.flights) == 2
    assert all(ask.count > 1 for ask in world.flights.values())


def test_a_request_without_a_byte_is_given_up_and_its_pieces_asked_elsewhere() -> None:
    world = World(1)
    world.plan.add_source("a", "peer a", None, 0.0)
    world.decide()
    world.plan.add_source("b", "peer b", None, 0.0)
    world.now = LIMITS.stall_seconds * 0.6
    assert world.plan.stuck(world.now) == "waiting for peer a"
    world.now = LIMITS.stall_seconds + 0.1
    world.decide()
    assert [ask.source for ask in world.flights.values()] == ["b"]
    assert world.plan.verified(1, 0), "what comes late after all is taken"
    world.decide()
    assert world.plan.finished
    assert not world.flights, "and the other is cut off"
    assert not world.plan.verified(2, 0), "what it brings all the same is not written a second time"


def test_a_crawling_source_is_given_up() -> None:
    world = World(2)
    world.plan.add_source("a", "a", None, 0.0)
    world.decide()
    for _ in range(100):
        world.now += 0.5
        world.plan.arrived(1, 10, world.now)
        world.decide()
    assert 1 not in world.flights


def test_failures_wait_longer_each_time() -> None:
    world, waits = World(1), []
    world.plan.add_source("a", "a", None, 0.0)
    for _ in range(LIMITS.each.failures):
        began = world.now
        while not world.flights:
            world.now += 0.05
            world.decide()
        waits.append(world.now - began)
        [ask] = world.flights.values()
        world.fail(ask, "dead")
    assert waits == pytest.approx([0.05, 0.5, 1.0, 2.0], abs=0.06)
    assert world.plan.stuck(world.now) == "no source left: a dead"


def test_stuck_says_what_is_waited_for() -> None:
    world = World(3)
    assert world.plan.stuck(0.0) == "no source has the file now"
    world.plan.add_source("a", "peer a", 0, 0.0)
    assert world.plan.stuck(0.0) == "no source has the 3 pieces that are missing"
    world.plan.learnt("a", 0b111)
    world.decide()
    assert world.plan.stuck(0.0) is None
    world.fail(world.flights[1], "busy")
    assert world.plan.stuck(0.01) == "a busy: trying again in 0 s"


def simulate(rates: dict[str, Callable[[float], float]], pieces: int, step: float = 0.02) -> float:
    """Seconds until all pieces are there, if each source sends at its rate, shared among its connections."""
    limits = PlanLimits()
    plan, now, got = Plan(PIECE, bytes(pieces), limits), 0.0, Counter[int]()
    flights: dict[int, Ask] = {}
    for name in rates:
        plan.add_source(name, name, None, now)
    while not plan.finished:
        decision = plan.decide(now, 99)
        for number in decision.aborts:
            flights.pop(number, None)
        flights.update((ask.number, ask) for ask in decision.asks)
        for ask in decision.asks:
            assert not ask.choices or plan.chosen(ask.number, range(ask.first, ask.first + 1))
        now += step
        busy = Counter(ask.source for ask in flights.values())
        for ask in list(flights.values()):
            more = int(rates[ask.source](now) * step / busy[ask.source])
            plan.arrived(ask.number, more, now)
            got[ask.number] += more
            while got[ask.number] >= PIECE and (piece := plan.next_piece(ask.number)) is not None:
                got[ask.number] -= PIECE
                plan.verified(ask.number, piece)
            if plan.next_piece(ask.number) is None:
                plan.ended(ask.number)
                del flights[ask.number]
        assert now < 1000, "it does not end"
    return now


def test_four_equal_sources_give_nearly_their_sum() -> None:
    rate = 10e6
    took = simulate({f"s{n}": lambda _: rate for n in range(4)}, 800)
    assert took < 800 * PIECE / (4 * rate) * 1.06


def test_the_end_does_not_wait_for_the_slowest() -> None:
    pieces, fast, slow = 400, 10e6, 50e3
    took = simulate({"fast": lambda _: fast, "slow": lambda _: slow}, pieces)
    assert took < pieces * PIECE / fast * 1.1


def test_a_source_that_becomes_slow_midway_loses_its_work_to_the_others() -> None:
    rate, pieces = 10e6, 800
    half = pieces * PIECE / (4 * rate) / 2
    rates: dict[str, Callable[[float], float]] = {f"s{n}": lambda _: rate for n in range(3)}
    rates["s3"] = lambda now: rate if now < half else rate / 80
    took = simulate(rates, pieces)
    assert took < (half + (pieces * PIECE / 2) / (3 * rate)) * 1.05


def test_what_is_held_back_by_our_own_will_is_not_stalled() -> None:
    plan, now = plan_of(9, PlanLimits(stall_seconds=10.0, least_rate=1000.0)), 0.0
    plan.add_source("s", "s", None, now)
    (ask,) = plan.decide(now, 1).asks
    for _ in range(200):  # 100 s, of which it is read from 10 s, with 5,000 bytes a second
        now += 0.5
        plan.arrived(ask.number, 250, now, held_back=0.45)
        assert plan.decide(now, 0).aborts == ()
    assert plan.decide(now + 11.0, 0).aborts == (ask.number,)
