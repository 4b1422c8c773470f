"""When a download asks for news, and of whom."""

from types import SimpleNamespace
from typing import Any

from pserver.exchange.news import News
from pserver.exchange.sources import Failure, Source, SourceLimits
from pserver.model import Peer

OWN = Peer("aa" * 32, "ann", "http://10.0.0.1:1")


def news() -> News:
    """Of a download at which it is 100 s, always."""
    engine: Any = SimpleNamespace(own=lambda: OWN, clock=lambda: 100.0)  # of an engine no more is used here
    partial: Any = SimpleNamespace(manifest=SimpleNamespace(piece_count=400))
    return News(engine, b"f" * 32, partial)


def source(failure: Failure | None = None) -> Source:
    """One that failed just now, perhaps."""
    made = Source("s", "s", None)
    if failure is not None:
        made.failed(failure, "", 100.0, SourceLimits())
    return made


def test_one_that_is_too_busy_to_send_can_tell_all_the_same() -> None:
    assert news().due([source("busy")], 100.0) == "s"
    assert news().due([source("lacks")], 100.0) == "s"
    assert news().due([source("dead")], 100.0) is None


def wait_after(*, crowded: bool, hungry: bool) -> float:
    """The longest time until it is asked again, of some (there is chance in it)."""
    waits = []
    for _ in range(50):
        one = news()
        one.due([source()], 100.0)
        one.heard(100.0, crowded=crowded, hungry=hungry)
        waits.append(one.due_at - 100.0)
    return max(waits)


def test_who_knows_too_few_to_ask_asks_for_news_oftener() -> None:
    hungry, fed = wait_after(crowded=True, hungry=True), wait_after(crowded=True, hungry=False)
    assert 0.0 < hungry < fed / 2
