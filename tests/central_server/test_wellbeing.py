"""When the locator's watchdog is fed, and when not."""

import asyncio

import pytest

from central_server.model import Member, StoreUnavailable
from central_server.wellbeing import Wellbeing
from protos.service import ServiceManager


class Ear(ServiceManager):
    """Remembers what it is told."""

    def __init__(self) -> None:
        super().__init__({"NOTIFY_SOCKET": "/nowhere"})
        self.heard: list[str] = []

    def _tell(self, *lines: str) -> None:
        self.heard += lines


class Store:
    """Answers, refuses or hangs."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.hangs = False

    async def members(self, now: float) -> list[Member]:
        """Nobody."""
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure:
            raise self.failure
        return []


@pytest.mark.parametrize(
    ("failure", "hangs", "heard"),
    [
        (None, False, ["WATCHDOG=1", "STATUS=0 peers"]),
        (
            StoreUnavailable(why="the disk is full"),
            False,
            ["WATCHDOG=1", f"STATUS={StoreUnavailable(why='the disk is full')}"],
        ),
        (None, True, ["STATUS=the store does not answer"]),
    ],
)
def test_a_store_that_answers_lives_whatever_it_says(failure: Exception | None, hangs: bool, heard: list[str]) -> None:
    ear, store = Ear(), Store()
    store.failure, store.hangs = failure, hangs
    wellbeing = Wellbeing(ear, store, 0.05)
    wellbeing.begin(0.0, "127.0.0.1:1")
    assert ear.heard[0] == "READY=1"
    ear.heard.clear()
    asyncio.run(wellbeing.tick(9.0))
    assert not ear.heard  # not yet
    asyncio.run(wellbeing.tick(10.0))
    assert ear.heard == heard
