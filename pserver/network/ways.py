"""The ways by which a lookup can go: through a neighbour, or straight to a locator. Each is asked alike.

A way that does not answer rests for a while; what a way answers is not judged here.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from pserver.backoff import Backoff, Chance
from pserver.model import (
    FileEntry,
    FileGroup,
    InvalidRequest,
    LookupAnswer,
    LookupRequest,
    NotFound,
    Peer,
    PeerInfo,
    PServerError,
    Query,
    Refused,
    Unavailable,
)
from pserver.network.holdings import OWN_SHARE
from pserver.network.neighbours import Neighbours
from pserver.remote.peer_http import PeerBusy, PeerLied

BY_LOCATOR = "locator"
MAX_DEADLINE_MS = 10_000
_FIRST_REST = 0.5
_LONGEST_REST = 2.0  # a locator that comes back is wanted soon, and asking one that is away costs little


class LookupClient(Protocol):
    """What is asked of a PeerClient."""

    def lookup(self, peer: Peer, request: LookupRequest, seconds: float) -> LookupAnswer: ...


class LocatorQueries(Protocol):
    """What is asked of a LocatorClient. Pages: (what was found, the next page's token)."""

    @property
    def address(self) -> str: ...
    def locate(self, queries: Sequence[Query], max_holders: int, timeout: float) -> list[list[FileGroup]]: ...
    def search(self, words: str, page_size: int, page_token: str, timeout: float) -> tuple[list[FileGroup], str]: ...
    def list_peers(
        self, match: str, folder: str, page_size: int, page_token: str, timeout: float
    ) -> tuple[list[PeerInfo], str]: ...
    def list_files(
        self, peer_id: str, prefix: str, page_size: int, page_token: str, timeout: float
    ) -> tuple[list[FileEntry], str]: ...


class Way(Protocol):
    """`final`: what it refuses (InvalidRequest, NotFound), no other way needs to be asked."""

    @property
    def final(self) -> bool: ...
    def ask(self, request: LookupRequest, seconds: float) -> LookupAnswer:
        """The answer, within `seconds`; any PServerError."""


class NeighbourWay:
    """Through the neighbour at `url`."""

    final = False

    def __init__(self, url: str, neighbours: Neighbours, client: LookupClient) -> None:
        self._url = url
        self._neighbours = neighbours
        self._client = client

    def ask(self, request: LookupRequest, seconds: float) -> LookupAnswer:
        """As Way says; a neighbour that does not answer as it should is left out for a while."""
        try:
            answer, name = self._ask(request, seconds)
        except PServerError as error:
            if _is_an_answer(error, request.kind):
                self._neighbours.answered(self._url)
            elif not isinstance(error, PeerBusy):
                self._neighbours.failed(self._url, error)
            raise
        self._neighbours.answered(self._url)
        if answer.via:  # else it had answered this query before: a way that led nowhere
            answer.via = [f"neighbour {name}", *(way for way in answer.via if way != OWN_SHARE)]
        return answer

    def _ask(self, request: LookupRequest, seconds: float) -> tuple[LookupAnswer, str]:
        deadline_ms = min(MAX_DEADLINE_MS, max(1, int(seconds * 1000)))
        peer = self._neighbours.resolve(self._url, seconds)
        if peer is None:
            raise PeerBusy("that is no neighbour any more")
        answer = self._client.lookup(peer, replace(request, deadline_ms=deadline_ms), seconds)
        if request.kind == "locate" and len(answer.results) != len(request.queries):
            raise PeerLied(f"{peer.name} answered {len(answer.results)} of {len(request.queries)} queries")
        return answer, peer.name


class LocatorWay:
    """Straight to a locator; what it says is complete."""

    final = True

    def __init__(self, locator: LocatorQueries, rests: "Rests") -> None:
        self._locator = locator
        self._rests = rests

    def ask(self, request: LookupRequest, seconds: float) -> LookupAnswer:
        """As Way says; a locator that does not answer is asked last for a while."""
        try:
            answer = self._ask(request, seconds)
        except (Unavailable, Refused):
            self._rests.failed(self._locator.address)
            raise
        self._rests.answered(self._locator.address)
        return answer

    def _ask(self, request: LookupRequest, seconds: float) -> LookupAnswer:
        locator, said = self._locator, LookupAnswer(complete=True, via=[BY_LOCATOR])
        page = (request.page_size, request.page_token, seconds)
        if request.kind == "locate":
            said.results = locator.locate(request.queries, request.max_holders, seconds)
        elif request.kind == "search":
            said.groups, said.next_page_token = locator.search(request.words, *page)
        elif request.kind == "peers":
            said.peers, said.next_page_token = locator.list_peers(request.match, request.folder, *page)
        else:
            said.files, said.next_page_token = locator.list_files(request.peer_id, request.prefix, *page)
        return said


class Rests:
    """Which locators did not answer lately. Lost updates between threads do no harm: a rest is a hint."""

    def __init__(self, chance: Chance, clock: Callable[[], float] = time.monotonic) -> None:
        self._chance = chance
        self._clock = clock
        self._resting: dict[str, tuple[Backoff, float]] = {}

    def failed(self, address: str) -> None:
        """It did not answer."""
        backoff, _until = self._resting.get(address) or (Backoff(_FIRST_REST, _LONGEST_REST, self._chance), 0.0)
        self._resting[address] = (backoff, self._clock() + backoff.after_failure())

    def answered(self, address: str) -> None:
        """It did."""
        self._resting.pop(address, None)

    def rests(self, address: str) -> bool:
        """Whether it is better to ask others first."""
        known = self._resting.get(address)
        return known is not None and known[1] > self._clock()


def _is_an_answer(error: PServerError, kind: str) -> bool:
    """Whether a peer that does its work can say that. NotFound to anything but `files` is said by another server."""
    return isinstance(error, InvalidRequest) or (isinstance(error, NotFound) and kind == "files")
