"""Who is asked to choose the targets of an upload, and for how long."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from pserver.model import Peer, Unavailable
from pserver.network.targets import Targets

BOB = Peer("b" * 64, "bob", "http://bob")


@dataclass
class FakeLocator:
    """Answers from `back_at` on."""

    clock: Callable[[], float]
    back_at: float = 0.0
    excluded: list[list[str]] = field(default_factory=list)

    def place_upload(self, file_id: bytes, size: int, count: int, exclude: Sequence[str], timeout: float) -> list[Peer]:
        if self.clock() < self.back_at:
            raise Unavailable(f"away until {self.back_at}")
        self.excluded.append(list(exclude))
        return [BOB]


class World:
    """Time goes on by waiting."""

    def __init__(self, *back_at: float) -> None:
        self.now = 0.0
        self.locators = [FakeLocator(lambda: self.now, at) for at in back_at]
        self.targets = Targets("own", lambda: self.locators, lambda: self.now, self.wait)

    def wait(self, seconds: float) -> None:
        self.now += seconds


def test_the_first_that_answers_chooses_and_never_this_peer() -> None:
    world = World(10.0, 0.0)
    assert world.targets(b"f", 1, 1, ["x"]) == [BOB]
    assert [locator.excluded for locator in world.locators] == [[], [["own", "x"]]]


def test_one_that_is_being_restarted_is_asked_again() -> None:
    world = World(3.0)
    assert world.targets(b"f", 1, 1, (), patience=5.0) == [BOB]


@pytest.mark.parametrize(("patience", "most"), [(0.0, 0.0), (5.0, 5.5)])
def test_patience_ends(patience: float, most: float) -> None:
    world = World(100.0)
    with pytest.raises(Unavailable, match="away"):
        world.targets(b"f", 1, 1, (), patience=patience)
    assert patience <= world.now <= most


def test_without_a_locator_nobody_waits() -> None:
    world = World()
    with pytest.raises(Unavailable, match="--to"):
        world.targets(b"f", 1, 1, (), patience=5.0)
    assert world.now == 0.0
