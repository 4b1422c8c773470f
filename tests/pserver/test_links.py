"""Links and what documents say: who is listed, and whose digests are believed."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.links import LinkVerifier
from protos.tokens import Issuer
from pserver.digests import Digests, Making
from pserver.exchange.links import Links
from pserver.exchange.resolve import Resolver
from pserver.model import (
    Conflict,
    FileGroup,
    Holder,
    InvalidRequest,
    LookupAnswer,
    NotFound,
    Peer,
    Query,
    SharedFile,
    Unavailable,
)
from pserver.remote.peer_http import PeerLied

NOW = 1_800_000_000.0
KEY = b"k" * 32
FILE_ID, SHA256, SIZE = b"\x01" * 32, b"\x02" * 32, 1000
OWN, BOB, CAROL = (Peer(name[0] * 64, name, f"http://{name}.example:8001") for name in ("ann", "bob", "carol"))
DIGESTS = Digests(SIZE, 262_144, SHA256, b"1" * 20, b"2" * 32)
FILE = SharedFile("docs/mine.txt", b"docs/mine.txt", SIZE, 1, 1, 1, FILE_ID, SHA256, True, 1)


def group(*holders: Peer, partial: tuple[Peer, ...] = (), file_id: bytes = FILE_ID) -> FileGroup:
    held = [Holder(peer, "docs/a.txt", True, peer in partial) for peer in holders]
    return FileGroup(file_id, SIZE, SHA256, ["docs/a.txt"], held, len(held))


class World:
    """The lookups, the share and the other peers, as a test sets them."""

    def __init__(self) -> None:
        self.groups = [group(BOB, CAROL)]
        self.own: SharedFile | None = None
        self.digests_of: dict[Peer, Digests | Making | Exception] = {}
        self.asked: list[Peer] = []

    def locate(self, queries: Sequence[Query], max_holders: int = 0) -> LookupAnswer:
        return LookupAnswer(True, results=[self.groups])

    def peers(self, match: str = "", folder: str = "", page_size: int = 0, page_token: str = "") -> LookupAnswer:
        return LookupAnswer(True)

    def files(self, peer_id: str, prefix: str = "", page_size: int = 0, page_token: str = "") -> LookupAnswer:
        return LookupAnswer(True)

    def find_holders(self, file_ids: Sequence[bytes]) -> dict[bytes, FileGroup]:
        return {one.file_id: one for one in self.groups if one.file_id in file_ids}

    def by_file_id(self, file_id: bytes) -> SharedFile | None:
        return self.own if file_id == FILE_ID else None

    def get(self, file: SharedFile) -> Digests | Making:
        assert file is self.own
        return DIGESTS

    def digests(self, peer: Peer, file_id: bytes, size: int) -> Digests | Making:
        self.asked.append(peer)
        assert (file_id, size) == (FILE_ID, SIZE)
        found = self.digests_of[peer]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def links(world: World) -> Links:
    issuer = Issuer(Ed25519PrivateKey.generate(), KEY)
    resolver = Resolver(world, OWN.peer_id, networked=True)
    return Links(lambda: OWN, issuer, resolver, world, share=world, digesting=world, peers=world, now=lambda: NOW)


def test_a_link_names_the_file_and_everybody_who_has_all_of_it(world: World, links: Links) -> None:
    world.groups = [group(BOB, CAROL, OWN, partial=(CAROL,))]
    made = links.link("docs/a.txt", 60, None)
    assert made.offered.holders == (OWN.url, BOB.url)  # this peer first
    assert (made.offered.name, made.offered.file_id, made.offered.size) == ("docs/a.txt", FILE_ID, SIZE)
    assert made.expires == NOW + 60
    assert LinkVerifier(KEY).check(made.token, NOW).file_id == FILE_ID.hex()


def test_what_cannot_be_linked(world: World, links: Links) -> None:
    with pytest.raises(InvalidRequest, match="folder"):
        links.link("docs/", 60, None)
    world.groups = [group(BOB, partial=(BOB,))]
    with pytest.raises(NotFound, match="all of"):
        links.link("docs/a.txt", 60, None)
    world.groups = []
    with pytest.raises(NotFound):
        links.link("docs/a.txt", 60, None)


def test_an_ambiguous_name_is_asked_about_or_the_most_held_is_taken(world: World, links: Links) -> None:
    world.groups = [group(BOB, CAROL), group(CAROL, file_id=b"\x09" * 32)]
    with pytest.raises(Conflict) as caught:
        links.link("docs/a.txt", 60, None)
    assert caught.value.code == "ambiguous"
    assert links.link("docs/a.txt", 60, "most").offered.file_id == FILE_ID


def test_an_own_file_is_offered_also_while_nobody_can_be_asked(world: World, links: Links) -> None:
    with pytest.raises(NotFound):
        links.offered(FILE_ID)
    world.own, world.groups = FILE, []
    assert links.offered(FILE_ID).holders == (OWN.url,)
    assert links.offered(FILE_ID).name == "docs/mine.txt"
    world.groups = [group(BOB, OWN)]
    assert links.offered(FILE_ID).holders == (OWN.url, BOB.url)


def test_digests_come_from_the_own_share_or_else_from_another_holder(world: World, links: Links) -> None:
    with pytest.raises(NotFound):
        links.own_digests(FILE_ID)
    world.digests_of = {BOB: Making(5, SIZE)}
    assert links.find_digests(FILE_ID) == Making(5, SIZE)
    world.own = FILE
    assert links.find_digests(FILE_ID) == links.own_digests(FILE_ID) == DIGESTS
    assert world.asked == [BOB]


def test_the_next_holder_is_asked_when_one_fails_or_lies(world: World, links: Links) -> None:
    world.digests_of = {BOB: Unavailable("away"), CAROL: DIGESTS}
    assert links.find_digests(FILE_ID) == DIGESTS
    world.digests_of = {BOB: replace(DIGESTS, sha256=b"\x03" * 32), CAROL: DIGESTS}
    assert links.find_digests(FILE_ID) == DIGESTS
    world.digests_of = {BOB: DIGESTS, CAROL: replace(DIGESTS, sha256=b"\x03" * 32)}
    world.groups = [group(BOB, CAROL, partial=(BOB,))]
    with pytest.raises(PeerLied):
        links.find_digests(FILE_ID)
