"""Finding: who has these names, ids or sha256s; what matches these words; which peers and files there are.

The rules:
 1. The originator asks its neighbours in order, then the locators; what rests is asked last. It stops at the first
    complete answer: one for which a locator was asked. Its own holdings are always added.
 2. A relay asks its locators; if none answers, its own neighbours, as long as hops last, and adds its own holdings.
 3. No complete answer: all that came is put together, and says that it is not complete.
 4. Each way gets a part of the time that remains, and is told how much.
 5. A query id that comes again is not answered again. The originator uses a new one for each way: a neighbour that
    answered another's relay must answer again if that one was lost.
"""

import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from protos.logs import new_request_id, request_id, working_on
from pserver.backoff import Chance
from pserver.model import (
    FileGroup,
    InvalidRequest,
    LookupAnswer,
    LookupRequest,
    NotFound,
    PServerError,
    Query,
)
from pserver.network.holdings import Holdings
from pserver.network.merging import merge, one_group_a_file
from pserver.network.neighbours import Neighbours
from pserver.network.relays import QueryIds, RelayPool
from pserver.network.ways import MAX_DEADLINE_MS, LocatorQueries, LocatorWay, LookupClient, NeighbourWay, Rests, Way

TOTAL_SECONDS = 5.0
MAX_QUERIES = 256
HOPS = 3  # beyond the neighbour that is asked
_LEAST_SECONDS = 0.02
_NEIGHBOUR_SECONDS = 1.0
_OWN_QUERY = 1 << 30  # hops with which one's own query is remembered: it never comes back with more
_RELAY_PART = 0.9  # of the asker's time; the rest is for the way back
_log = logging.getLogger(__name__)


class Lookup:
    """Asks on behalf of this peer's person (the originator's verbs), and of other peers (`relay`). Thread-safe.

    `peers` is the PeerClient; `locators()` gives the LocatorClients in the order in which to ask them. That a way
    failed raises nothing: an answer with complete=False says that no locator was asked.
    """

    def __init__(
        self,
        holdings: Holdings,
        neighbours: Neighbours,
        peers: LookupClient,
        locators: Callable[[], Sequence[LocatorQueries]],
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Chance = random.random,
    ) -> None:
        self._holdings = holdings
        self._neighbours = neighbours
        self._peers = peers
        self._locators = locators
        self._clock = clock
        self._rests = Rests(chance, clock)
        self._pool = RelayPool()
        self._query_ids = QueryIds()

    # --- the originator

    def locate(self, queries: Sequence[Query], max_holders: int = 0, seconds: float = TOTAL_SECONDS) -> LookupAnswer:
        """Who has each of these (any number): `results` has one list of groups a query, most holders first.

        `max_holders` of each file: 0 is 16, at most 64.
        """
        whole = LookupAnswer(complete=True)
        deadline = self._clock() + seconds
        for start in range(0, len(queries), MAX_QUERIES):
            part = tuple(queries[start : start + MAX_QUERIES])
            answer = self._originate(_request("locate", queries=part, max_holders=max_holders), deadline)
            whole.results += answer.results
            whole.complete = whole.complete and answer.complete
            whole.via = list(dict.fromkeys(whole.via + answer.via))
        return whole

    def search(
        self, words: str, page_size: int = 0, page_token: str = "", seconds: float = TOTAL_SECONDS
    ) -> LookupAnswer:
        """Files whose names match all the words: `groups`, `next_page_token`. InvalidRequest: too broad, or no words.

        A first page can also have own files that no locator knows yet.
        """
        request = _request("search", words=words, page_size=page_size, page_token=page_token)
        return self._originate(request, self._clock() + seconds)

    def peers(
        self,
        match: str = "",
        folder: str = "",
        page_size: int = 0,
        page_token: str = "",
        seconds: float = TOTAL_SECONDS,
    ) -> LookupAnswer:
        """The living peers, as ListPeersRequest says: `peers`, `next_page_token`. The own one is on the first page."""
        request = _request("peers", match=match, folder=folder, page_size=page_size, page_token=page_token)
        return self._originate(request, self._clock() + seconds)

    def files(
        self,
        peer_id: str,
        prefix: str = "",
        page_size: int = 0,
        page_token: str = "",
        seconds: float = TOTAL_SECONDS,
    ) -> LookupAnswer:
        """The files of one peer (64 hex digits): `files`, `next_page_token`. NotFound if nobody knows that peer."""
        request = _request("files", peer_id=peer_id, prefix=prefix, page_size=page_size, page_token=page_token)
        return self._originate(request, self._clock() + seconds)

    def find_holders(
        self, file_ids: Sequence[bytes], max_holders: int = 32, seconds: float = TOTAL_SECONDS
    ) -> dict[bytes, FileGroup]:
        """Who has these files, for the download engine: those that anybody was found for."""
        answer = self.locate([Query(file_id=file_id) for file_id in file_ids], max_holders, seconds)
        return one_group_a_file((group for groups in answer.results for group in groups), max_holders)

    def _originate(self, request: LookupRequest, deadline: float) -> LookupAnswer:
        own = self._holdings.answer(request)
        if own.complete:
            return own
        awake, resting = self._locator_ways()
        alive, dead = self._neighbours.in_order()
        ways = [*self._through(alive), *awake, *self._through(dead), *resting]
        with working_on(request=request_id() or new_request_id()):
            answers, refusal = self._ask(request, ways, deadline, self._own_query)
        answer = merge(request, own, answers)
        if refusal is not None and not answers:
            raise refusal
        if request.kind == "files" and not answer.complete and not answer.files:
            raise refusal or NotFound("none of the peers that could be asked knows that peer")
        return answer

    def _own_query(self, request: LookupRequest) -> LookupRequest:
        query_id = secrets.token_hex(16)
        self._query_ids.is_new(query_id, _OWN_QUERY, self._clock())
        return replace(request, query_id=query_id)

    # --- the relay

    def relays(self) -> tuple[int, int]:
        """How many lookups of others are being relayed, and how many were sent away so far."""
        return self._pool.counts()

    def relay(self, request: LookupRequest, asker: str) -> LookupAnswer:
        """Answer another peer (`asker`: its peer id). Unavailable: too many at once; NotFound, InvalidRequest."""
        with self._pool.place(asker):
            now = self._clock()
            if not self._query_ids.is_new(request.query_id, request.hops, now):
                return LookupAnswer(complete=False, results=[[] for _query in request.queries])
            return self._relay(request, asker, now + min(request.deadline_ms, MAX_DEADLINE_MS) / 1000 * _RELAY_PART)

    def _relay(self, request: LookupRequest, asker: str, deadline: float) -> LookupAnswer:
        own = self._holdings.answer(request)
        if own.complete:
            return own
        awake, resting = self._locator_ways()
        ways = [*awake, *self._others_than(asker, request.hops), *resting]
        answers, refusal = self._ask(request, ways, deadline, _passed_on)
        if refusal is not None and not answers:
            raise refusal
        if any(answer.complete for answer in answers):  # the locator knows what is held here
            own = LookupAnswer(complete=False)
        return merge(request, own, answers)

    def _others_than(self, asker: str, hops: int) -> list[Way]:
        if hops <= 0:
            return []
        asking = {peer.url for peer, _state in self._neighbours.statuses() if peer.peer_id == asker}
        alive, _dead = self._neighbours.in_order()
        return self._through([url for url in alive if url not in asking])

    # --- both

    def _ask(
        self,
        request: LookupRequest,
        ways: Sequence[Way],
        deadline: float,
        prepared: Callable[[LookupRequest], LookupRequest],
    ) -> tuple[list[LookupAnswer], PServerError | None]:
        """The answers up to the first complete one, and the first refusal (NotFound, InvalidRequest)."""
        answers: list[LookupAnswer] = []
        refusal: PServerError | None = None
        for number, way in enumerate(ways):
            remaining = deadline - self._clock()
            if remaining < _LEAST_SECONDS:
                break
            try:
                answers.append(way.ask(prepared(request), _part_of(remaining, len(ways) - number, way)))
                if answers[-1].complete:
                    break
            except (NotFound, InvalidRequest) as error:
                refusal = refusal or error
                if way.final:
                    return _those_that_help(request, answers), error
            except PServerError as error:
                _log.debug("a way of a lookup failed: %s", error)
        return answers, refusal

    def _locator_ways(self) -> tuple[list[Way], list[Way]]:
        found = list(self._locators())
        awake: list[Way] = [LocatorWay(each, self._rests) for each in found if not self._rests.rests(each.address)]
        resting: list[Way] = [LocatorWay(each, self._rests) for each in found if self._rests.rests(each.address)]
        return awake, resting

    def _through(self, urls: Sequence[str]) -> list[Way]:
        return [NeighbourWay(url, self._neighbours, self._peers) for url in urls]


def _request(
    kind: str,
    *,
    queries: tuple[Query, ...] = (),
    max_holders: int = 0,
    words: str = "",
    peer_id: str = "",
    prefix: str = "",
    match: str = "",
    folder: str = "",
    page_size: int = 0,
    page_token: str = "",
) -> LookupRequest:
    return LookupRequest(
        kind=kind,
        query_id="",
        hops=HOPS,
        deadline_ms=MAX_DEADLINE_MS,
        queries=queries,
        max_holders=max_holders,
        words=words,
        peer_id=peer_id,
        prefix=prefix,
        match=match,
        folder=folder,
        page_size=page_size,
        page_token=page_token,
    )


def _passed_on(request: LookupRequest) -> LookupRequest:
    return replace(request, hops=max(0, request.hops - 1))


def _part_of(remaining: float, ways_left: int, way: Way) -> float:
    """How long one way may take: an even part, but a second if that leaves as much for the others.

    A neighbour that hangs looks like one that is slow: while there are other ways it gets a second and no more.
    """
    part = max(remaining / ways_left, min(_NEIGHBOUR_SECONDS, remaining / 2))
    return min(part, _NEIGHBOUR_SECONDS) if ways_left > 1 and isinstance(way, NeighbourWay) else part


def _those_that_help(request: LookupRequest, answers: list[LookupAnswer]) -> list[LookupAnswer]:
    """What came before a locator refused: files of a peer that the locator does not know are worth having."""
    return [answer for answer in answers if request.kind == "files" and answer.files]
