"""Tells the service manager how the locator is, from the event loop, and only when its store answers in time."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol

from central_server.model import LocatorError, Member
from protos.service import ServiceManager

ANSWER_SECONDS = 5.0


class _Members(Protocol):
    """What is asked of the store."""

    def members(self, now: float) -> Awaitable[list[Member]]:
        """As `store.Store.members`."""


class Wellbeing:
    """`tick(now)` often, on the event loop: when that hangs, or the store does, systemd kills and starts anew.

    A store that answers with an error lives: to kill the locator would not mend a full disk.
    """

    def __init__(self, manager: ServiceManager, store: _Members, seconds: float = ANSWER_SECONDS) -> None:
        self._manager = manager
        self._store = store
        self._seconds = seconds
        self._next = 0.0

    def begin(self, now: float, where: str) -> None:
        """It listens at `where`."""
        self._manager.ready(f"listening on {where}")
        self._next = now + self._manager.seconds

    async def tick(self, now: float) -> None:
        """Look, and tell, when it is time to."""
        if not self._manager.listens or now < self._next:
            return
        self._next = now + self._manager.seconds
        try:
            async with asyncio.timeout(self._seconds):
                peers = len(await self._store.members(now))
        except TimeoutError:
            self._manager.troubled("the store does not answer")
        except LocatorError as error:
            self._manager.alive(str(error))
        else:
            self._manager.alive(f"{peers} peer{'' if peers == 1 else 's'}")

    def end(self, seconds: float) -> None:
        """It stops, which may take that long."""
        self._manager.stopping(seconds)
