"""The planner among sources that are downloading the file themselves: who is asked again, and when."""

import pytest

from pserver.exchange.asks import PlanLimits
from pserver.exchange.crowd import Standing
from pserver.exchange.plan import Plan
from pserver.exchange.sources import SourceLimits

PIECE, PIECES = 1 << 18, 40
LIMITS = PlanLimits(sources=12, each=SourceLimits(refusals=20, busy_wait=0.05, lacks_wait=0.1))


def plan_of(*sources: str, has: int) -> Plan:
    """Each source has the pieces of that mask."""
    plan = Plan(PIECE, bytes(PIECES), LIMITS)
    for name in sources:
        plan.add_source(name, name, has, 0.0)
    return plan


def test_one_that_lacked_a_piece_is_asked_as_soon_as_it_is_heard_to_have_one() -> None:
    plan = plan_of("a", has=0b1)
    [ask] = plan.decide(0.0, 1).asks
    plan.learnt("a", 0)
    plan.failed(ask.number, "lacks", "it lacks it", 0.0)
    plan.learnt("a", 0)
    assert not plan.decide(0.01, 1).asks, "what it has is not wanted"
    plan.learnt("a", 0b110)
    assert [ask.source for ask in plan.decide(0.01, 1).asks] == ["a"]


def test_hearing_what_a_busy_one_has_does_not_make_it_less_busy() -> None:
    plan = plan_of("a", has=0b1)
    [ask] = plan.decide(0.0, 1).asks
    plan.failed(ask.number, "busy", "it is busy", 0.0)
    plan.learnt("a", 0b11)
    assert not plan.decide(0.01, 1).asks
    assert plan.decide(0.06, 1).asks


def test_a_busy_one_is_asked_again_soon_and_then_ever_less_often() -> None:
    plan, last, waits = plan_of("a", has=0b1), 0.0, []
    for now in (step / 100 for step in range(1000)):
        for ask in plan.decide(now, 1).asks:
            plan.failed(ask.number, "busy", "it is busy", now)
            waits.append(now - last)
            last = now
    assert waits[:8] == pytest.approx([0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2], abs=0.02)
    assert min(waits[7:]) > 3.0


def test_another_is_asked_at_once_instead_of_a_busy_one() -> None:
    plan = plan_of("a", "b", has=0b1)
    [first] = plan.decide(0.0, 1).asks
    plan.failed(first.number, "busy", "it is busy", 0.0)
    [second] = plan.decide(0.0, 1).asks
    assert {first.source, second.source} == {"a", "b"}


def test_it_is_hungry_while_fewer_than_half_of_its_requests_are_in_flight() -> None:
    plan = plan_of(*(f"s{n}" for n in range(LIMITS.sources)), has=(1 << PIECES) - 1)
    asked = 0
    while plan.hungry:
        asked += len(plan.decide(0.0, 1).asks)
    assert asked == LIMITS.sources // 2


@pytest.mark.parametrize(("theirs", "most"), [(0, 10), (98, 12), (97, 11), (100, 12), (111, 17), (1000, 22)])
def test_one_that_has_fallen_behind_may_have_more_requests_in_flight(theirs: int, most: int) -> None:
    standing = Standing()
    for _ in range(200):
        standing.heard(theirs, 100)
    assert standing.most_at_once(12) == most


def test_what_others_say_that_they_have_is_what_it_stands_behind() -> None:
    counts = []
    for behind in (False, True):
        plan = Plan(PIECE, bytes(PIECES), LIMITS)
        for number in range(30):
            plan.add_source(f"p{number}", "", (1 << PIECES) - 2, 0.0)
        for number in range(30 if behind else 0):
            plan.learnt(f"p{number}", (1 << PIECES) - 2)
        counts.append(len(plan.decide(0.0, 32).asks))
    assert counts[0] == LIMITS.sources < counts[1]


def test_a_source_that_was_whole_from_the_start_puts_nobody_behind() -> None:
    plan = Plan(PIECE, bytes(PIECES), LIMITS)
    plan.add_source("seed", "seed", None, 0.0)
    for _ in range(100):
        plan.learnt("seed", None)
    for number in range(30):
        plan.add_source(f"p{number}", "", (1 << PIECES) - 2, 0.0)
    assert len(plan.decide(0.0, 32).asks) == LIMITS.sources
