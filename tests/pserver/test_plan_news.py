"""The planner before it has heard whether others fetch the file too, and when it hears of them in the middle."""

from pserver.exchange.asks import Ask, PlanLimits
from pserver.exchange.bitfield import run_mask
from pserver.exchange.plan import Plan

PIECE, PIECES = 1 << 18, 400
ALL = run_mask(0, PIECES)


def plan_with_seed(*, expects_news: bool) -> Plan:
    """One that has had a piece of its seed, and so may ask it for long runs."""
    plan = Plan(PIECE, bytes(PIECES), PlanLimits(), expects_news=expects_news)
    plan.add_source("seed", "seed", None, 0.0)
    [ask] = plan.decide(0.0, 1).asks
    _bring(plan, ask, range(0, 1), 0.01)
    plan.ended(ask.number)
    return plan


def _bring(plan: Plan, ask: Ask, run: range, now: float) -> None:
    if ask.choices:
        assert plan.chosen(ask.number, run)
    for piece in run:
        plan.arrived(ask.number, PIECE, now)
        assert plan.next_piece(ask.number) == piece and plan.verified(ask.number, piece)


def test_until_there_is_news_the_source_chooses_and_gives_little() -> None:
    plan = plan_with_seed(expects_news=True)
    asks = plan.decide(0.02, 8).asks
    assert asks and all(ask.choices and ask.most <= 2 for ask in asks)


def test_without_a_crowd_runs_are_long_once_that_is_known() -> None:
    plan = plan_with_seed(expects_news=True)
    plan.heard_news()
    assert max(ask.count for ask in plan.decide(0.02, 8).asks) > 2
    assert max(ask.count for ask in plan_with_seed(expects_news=False).decide(0.02, 8).asks) > 2


def test_a_long_run_under_way_is_left_to_the_crowd_when_there_is_one() -> None:
    plan = plan_with_seed(expects_news=False)
    long = max(plan.decide(0.02, 1).asks, key=lambda ask: ask.count)
    assert long.count > 3
    _bring(plan, long, range(long.first, long.first + 1), 0.05)
    plan.add_source("p", "p", run_mask(0, 1), 0.06)
    plan.decide(0.06, 0)
    at = long.first + 1
    _bring(plan, long, range(at, at + 2), 0.07)
    assert plan.next_piece(long.number) is None, "the rest is not read"
    plan.add_source("p", "p", ALL & ~run_mask(0, at + 2), 0.08)
    plan.ended(long.number)
    offered = 0
    for _ in range(40):  # each time a part of what is free, at random
        for ask in plan.decide(0.08, 12).asks:
            offered |= ask.choices or run_mask(ask.first, ask.first + ask.count)
            plan.ended(ask.number)
    assert offered & run_mask(at + 2, long.first + long.count), "it can be asked for elsewhere"
