"""Peers with real lookups, joined in one process: time and the wires are the test's.

What one peer asks another goes through the JSON of the peer API, so nothing passes here that could not travel.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pserver.model import (
    FileEntry,
    FileGroup,
    Holder,
    LookupAnswer,
    LookupRequest,
    NotFound,
    Peer,
    PeerInfo,
    PServerError,
    Query,
    Unavailable,
)
from pserver.network.holdings import Holdings
from pserver.network.lookup import Lookup
from pserver.network.neighbours import Neighbours
from pserver.remote.lookup_json import answer_from_json, answer_to_json, request_from_json, request_to_json
from pserver.remote.peer_http import PeerDead, PeerStalled
from tests.pserver.fake_share import FakeShare, manifest_of

CONNECT_SECONDS = 1.0


@dataclass
class FakeQueries:
    """A locator's lookups, over the peers that it was told of."""

    address: str = "locator:1"
    peers: list["Node"] = field(default_factory=list)
    fails: PServerError | None = None
    hangs: bool = False
    asked: list[str] = field(default_factory=list)
    network: "Network | None" = None

    def locate(self, queries: Sequence[Query], max_holders: int, timeout: float) -> list[list[FileGroup]]:
        self._asked("locate", timeout)
        requests = [LookupRequest("locate", "0" * 32, 0, 1, (query,)) for query in queries]
        return [self._together([node.holdings.answer(each).results[0] for node in self.peers]) for each in requests]

    def search(self, words: str, page_size: int, page_token: str, timeout: float) -> tuple[list[FileGroup], str]:
        self._asked("search", timeout)
        request = LookupRequest("search", "0" * 32, 0, 1, words=words, page_size=100)
        groups = self._together([node.holdings.answer(request).groups for node in self.peers])
        start, size = int(page_token or 0), page_size or 25
        return groups[start : start + size], str(start + size) if len(groups) > start + size else ""

    def list_peers(
        self, match: str, folder: str, page_size: int, page_token: str, timeout: float
    ) -> tuple[list[PeerInfo], str]:
        self._asked("peers", timeout)
        request = LookupRequest("peers", "0" * 32, 0, 1, match=match, folder=folder)
        found = [info for node in self.peers for info in node.holdings.answer(request).peers]
        found = [replace(info, heartbeat_age=1.0) for info in found]
        start, size = int(page_token or 0), page_size or 100
        return found[start : start + size], str(start + size) if len(found) > start + size else ""

    def list_files(
        self, peer_id: str, prefix: str, page_size: int, page_token: str, timeout: float
    ) -> tuple[list[FileEntry], str]:
        self._asked("files", timeout)
        request = LookupRequest(
            "files", "0" * 32, 0, 1, peer_id=peer_id, prefix=prefix, page_size=page_size, page_token=page_token
        )
        for node in self.peers:
            if node.peer.peer_id == peer_id:
                answer = node.holdings.answer(request)
                return answer.files, answer.next_page_token
        raise NotFound("no such peer is here now")

    def _asked(self, kind: str, timeout: float) -> None:
        self.asked.append(kind)
        if self.fails is not None:
            raise self.fails
        if self.hangs and self.network is not None:
            self.network.now += timeout
            raise Unavailable("did not answer in time")

    def _together(self, lists: Sequence[Sequence[FileGroup]]) -> list[FileGroup]:
        found: dict[bytes, FileGroup] = {}
        for group in (group for groups in lists for group in groups):
            known = found.get(group.file_id)
            if known is None:
                found[group.file_id] = group
            else:
                holders = [*known.holders, *group.holders]
                found[group.file_id] = replace(known, holders=holders, holder_count=len(holders))
        return list(found.values())


class Node:
    """One peer: its share, its lookup, its neighbours."""

    def __init__(self, network: "Network", name: str, neighbours: Sequence[str]) -> None:
        self.network = network
        self.peer = Peer(hashlib.sha256(name.encode()).hexdigest(), name, f"http://{name}:1")
        self.share = FakeShare()
        self.holdings = Holdings(lambda: self.peer, self.share, self._info)
        self.neighbours = Neighbours(
            neighbours, lambda: self.assigned, self, self.peer.peer_id, clock=network.clock, chance=lambda: 0.0
        )
        self.locators: list[FakeQueries] = []
        self.assigned: list[Peer] = []
        self.asked: list[tuple[str, LookupRequest]] = []
        self.lookup_ = Lookup(
            self.holdings, self.neighbours, self, lambda: self.locators, clock=network.clock, chance=lambda: 0.0
        )
        self.distorts: Callable[[LookupAnswer], LookupAnswer] = lambda answer: answer

    def put(self, name: str, content: str = "", *, size: int = 10, checked: bool = True) -> bytes:
        """Share a file; its file id."""
        manifest = manifest_of(content or name, size)
        self.share.put(name, name.encode(), (size, 1, 1, 1), manifest, checked)
        return manifest.file_id

    def _info(self) -> PeerInfo:
        files, size = self.share.totals()
        return PeerInfo(self.peer, files, size, 100, True, "0.1.0")

    # --- what a PeerClient does

    def identify(self, url: str, seconds: float) -> str:
        return self.network.reach(self, url, seconds).peer.peer_id

    def ping(self, peer: Peer, seconds: float) -> Peer:
        return self.network.reach(self, peer.url, seconds).peer

    def lookup(self, peer: Peer, request: LookupRequest, seconds: float) -> LookupAnswer:
        self.asked.append((peer.name, request))
        other = self.network.reach(self, peer.url, seconds)
        assert other.peer.peer_id == peer.peer_id
        assert request.deadline_ms <= seconds * 1000 + 1
        travelled = request_from_json(json.loads(json.dumps(request_to_json(request))))
        answer = other.distorts(other.lookup_.relay(travelled, self.peer.peer_id))
        return answer_from_json(json.loads(json.dumps(answer_to_json(answer))))


class Network:
    """The peers, which wires between them are cut, and the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.nodes: dict[str, Node] = {}
        self.dead: set[str] = set()  # nobody listens there
        self.silent: set[str] = set()  # packets vanish
        self.hung: set[str] = set()  # it takes what it is asked, and says nothing
        self.cut: set[tuple[str, str]] = set()  # from, to

    def clock(self) -> float:
        """The time."""
        return self.now

    def node(self, name: str, *neighbours: str, locator: FakeQueries | None = None) -> Node:
        """A new peer, with these neighbours (names), known to that locator."""
        node = self.nodes[name] = Node(self, name, [f"http://{each}:1" for each in neighbours])
        if locator is not None:
            locator.peers.append(node)
            locator.network = self
            node.locators.append(locator)
        return node

    def reach(self, asker: Node, url: str, seconds: float) -> Node:
        """Who answers there, if the wires are whole."""
        name = url.removeprefix("http://").removesuffix(":1")
        if name in self.dead or name not in self.nodes or (asker.peer.name, name) in self.cut:
            raise PeerDead(f"{name} refuses the connection")
        if name in self.silent:
            self.now += min(CONNECT_SECONDS, seconds)
            raise PeerDead(f"{name} does not answer")
        if name in self.hung:
            self.now += seconds
            raise PeerStalled(f"{name} says nothing")
        return self.nodes[name]


def names(holders: Sequence[Holder]) -> list[str]:
    """The names of the peers, in order of name."""
    return sorted(holder.peer.name for holder in holders)


def ring(network: Network, *members: str) -> None:
    """New peers, each with the next one for its neighbour, the last with the first."""
    for number, name in enumerate(members):
        network.node(name, members[(number + 1) % len(members)])
