"""Memberships that run in threads of their own, for tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pserver.model import Peer
from pserver.network.membership import Index, Locator, Membership, Self

OWN = Peer("a" * 64, "ann", "http://127.0.0.1:1")
Start = Callable[..., Membership]  # (index, *locators, own=OWN, replaced=...)


@contextmanager
def running_memberships() -> Iterator[Start]:
    """Starts memberships, and stops them at the end of the block."""
    made: list[Membership] = []

    def start(
        index: Index, *locators: Locator, own: Peer = OWN, replaced: Callable[[str], None] = lambda _why: None
    ) -> Membership:
        made.append(Membership(Self(lambda: own, "0.1.0", True, lambda: 1), index, locators, replaced))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.stop()
