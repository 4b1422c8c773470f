"""Who shall hold a file: the locator chooses among the peers it knows."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from pserver.model import Peer, Unavailable

_ASK_SECONDS = 5.0
_AGAIN_SECONDS = 0.25


class ChoosingLocator(Protocol):
    """What is needed of a LocatorClient."""

    def place_upload(
        self, file_id: bytes, size: int, count: int, exclude: Sequence[str], timeout: float
    ) -> list[Peer]: ...


class Targets:
    """Has the locator choose peers for an upload. Never this peer itself. `wait` waits for so many seconds."""

    def __init__(
        self,
        own_id: str,
        locators: Callable[[], Sequence[ChoosingLocator]],
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._own_id = own_id
        self._locators = locators
        self._clock = clock
        self._wait = wait

    def __call__(
        self, file_id: bytes, size: int, count: int, exclude: Sequence[str], patience: float = 0.0
    ) -> list[Peer]:
        """As LocatorClient.place_upload, of the first locator that answers. Unavailable if none does.

        `patience`: for so many seconds locators that are all away are asked again, for one that is being restarted is
        back within them.
        """
        ends = self._clock() + patience
        while True:
            try:
                return self._ask(file_id, size, count, [self._own_id, *exclude])
            except Unavailable:
                if not self._locators() or self._clock() >= ends:
                    raise
            self._wait(_AGAIN_SECONDS)

    def _ask(self, file_id: bytes, size: int, count: int, exclude: Sequence[str]) -> list[Peer]:
        failure = Unavailable("without a locator, say which peer shall hold it (--to)")
        for locator in self._locators():
            try:
                return locator.place_upload(file_id, size, count, exclude, _ASK_SECONDS)
            except Unavailable as error:
                failure = error
        raise failure
