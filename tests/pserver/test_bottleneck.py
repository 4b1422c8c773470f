"""What holds a download up, in words."""

import pytest

from pserver.exchange.bottleneck import Effort, of_standstill, peers_are_slow


def effort(rate_limit: float = 0, processor: float = 0, disk: float = 0, **peers: float) -> Effort:
    made = Effort()
    made.worked("rate limit", rate_limit, 1.0)
    made.worked("processor", processor, 1.0)
    made.worked("disk", disk, 1.0)
    for name, seconds in peers.items():
        made.waited(name, seconds, 1.0)
    return made


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (effort(), None),
        (effort(disk=2, processor=1, b=1), "disk"),
        (effort(rate_limit=2, disk=1, b=1), "rate limit"),
        (effort(processor=2, disk=1, b=1), "processor"),
        (effort(disk=2, b=3), "peer b is slow"),
        (effort(disk=2, b=1.5, c=1), "peers b and c are slow"),
        (effort(b=3, c=0.1, d=2, e=1), "peers b, d and e are slow"),
        (effort(a=1, b=1, c=1, d=1), "4 peers are slow"),
    ],
)
def test_where_most_of_the_time_goes(made: Effort, words: str | None) -> None:
    assert made.bottleneck(1.0) == words


def test_only_the_last_seconds_count() -> None:
    made = effort(disk=100)
    made.waited("b", 1.0, 8.0)
    assert made.bottleneck(8.0) == "peer b is slow"
    assert made.bottleneck(20.0) is None


def test_a_standstill() -> None:
    assert of_standstill("no source left: b lied", ["c"]) == "no source"
    assert of_standstill("b cannot be reached: trying again in 3 s", ["b"]) == "no source"
    assert of_standstill("waiting for b", ["b", "b"]) == "peer b is slow"
    assert peers_are_slow(["x"]) == "peer x is slow"
