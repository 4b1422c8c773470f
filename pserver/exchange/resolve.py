"""What a person's words stand for: a peer, a file, a folder; and what to fetch for them.

A name is tried as a name; `id:HEX` and `sha256:HEX` force. Where words fit several things, the person is asked
(Conflict "ambiguous", with the choices), or lets the most widely held one be taken (`choose` is "most").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from protos.names import check_name, check_prefix
from pserver.exchange.transfer import Wanted
from pserver.model import (
    Conflict,
    FileEntry,
    FileGroup,
    InvalidRequest,
    LookupAnswer,
    NotFound,
    Peer,
    PeerInfo,
    Query,
    Unavailable,
)

MAX_FOLDER_FILES = 100_000
_PEERS_PAGE = 100
_FILES_PAGE = 2000
_LISTINGS = 3  # how often to begin a list anew
_HINTS = 16
_HASH = re.compile(r"[0-9a-fA-F]{64}")


class Finder(Protocol):
    """What is asked of the lookups."""

    def locate(self, queries: Sequence[Query], max_holders: int = 0) -> LookupAnswer: ...
    def peers(self, match: str = "", folder: str = "", page_size: int = 0, page_token: str = "") -> LookupAnswer: ...
    def files(self, peer_id: str, prefix: str = "", page_size: int = 0, page_token: str = "") -> LookupAnswer: ...


@dataclass(frozen=True, slots=True)
class Order:
    """What to fetch. `hints`: peers that have it. `tree`: each file gets its own name, whatever is here already."""

    label: str
    wanted: list[Wanted]
    hints: list[Peer]
    tree: bool


class Resolver:
    """Finds what words stand for. `networked`: this peer knows a locator, so an incomplete answer proves nothing."""

    def __init__(self, finder: Finder, own_id: str, networked: bool) -> None:
        self._finder = finder
        self._own_id = own_id
        self._networked = networked

    def query(self, what: str) -> Query:
        """A name, id:HEX or sha256:HEX as a query. InvalidRequest, InvalidName."""
        kind, _, digits = what.partition(":")
        if kind in {"id", "sha256"}:
            if not _HASH.fullmatch(digits):
                raise InvalidRequest(f"{kind}: is followed by 64 hex digits")
            raw = bytes.fromhex(digits)
            return Query(file_id=raw) if kind == "id" else Query(sha256=raw)
        return Query(name=check_name(what))

    def lookup(self, what: str) -> LookupAnswer:
        """Who has it: the answer's `groups`, most held first. NotFound, Unavailable (nobody who would know answers)."""
        answer = self._finder.locate([self.query(what)], 64)
        answer.groups = answer.results[0]
        if not answer.groups:
            raise self._nothing(answer, f"no peer has '{what}'")
        return answer

    def file_id(self, what: str) -> bytes:
        """The id of a file by its name or id:HEX; that of a name from who has it. As `order`."""
        asked = self.query(what)
        if asked.file_id is not None:
            return asked.file_id
        groups = self.lookup(what).groups
        if len(groups) > 1:
            raise Conflict(f"'{what}' stands for {len(groups)} different files", "ambiguous", groups)
        return groups[0].file_id

    def peer(self, name_or_id: str) -> Peer:
        """The peer of that name, or of an id that begins so. NotFound, Unavailable, Conflict "ambiguous"."""
        answer = self._finder.peers(match=name_or_id)
        found = {info.peer.peer_id: info.peer for info in answer.peers}
        if not found:
            raise self._nothing(answer, f"there is no peer '{name_or_id}'")
        if len(found) > 1:
            choices = list(found.values())
            raise Conflict(f"{len(found)} peers are called '{name_or_id}': give an id", "ambiguous", choices)
        return next(iter(found.values()))

    def order(self, what: str, as_name: str | None, from_peer: str | None, choose: str | None) -> Order:
        """What a download of `what` fetches. NotFound, Unavailable, Conflict "ambiguous", InvalidName."""
        if what.endswith("/"):
            return self._folder(what, as_name, from_peer, choose)
        if as_name is not None:
            check_name(as_name)
        groups = self.lookup(what).groups
        if from_peer is not None:
            groups = self._held_by(groups, self.peer(from_peer), what)
        by_sha256 = self.query(what).sha256
        if len(groups) > 1 and by_sha256 is None and choose != "most":
            raise Conflict(f"'{what}' stands for {len(groups)} different files", "ambiguous", groups)
        taken = groups[0]
        named = self.query(what).name
        name = as_name or named or check_name(taken.names[0])
        others = tuple(group.file_id for group in groups[1:]) if by_sha256 else ()
        wanted = Wanted(name, taken.file_id, taken.size, by_sha256, others)
        hints = [holder.peer for holder in taken.holders[:_HINTS]]
        # A name that was asked for is given, even if the content is here under another.
        return Order(as_name or named or name, [wanted], hints, tree=as_name is not None)

    def _held_by(self, groups: list[FileGroup], peer: Peer, what: str) -> list[FileGroup]:
        held = [one for one in groups if any(holder.peer.peer_id == peer.peer_id for holder in one.holders)]
        if not held:
            raise NotFound(f"{peer.name} does not have '{what}'")
        return held

    def _folder(self, folder: str, as_name: str | None, from_peer: str | None, choose: str | None) -> Order:
        check_prefix(folder)
        to = folder if as_name is None else check_name(as_name.removesuffix("/")) + "/"
        peer = self.peer(from_peer) if from_peer is not None else self._choose_peer(folder, choose)
        found = self._list(peer, folder)
        if not found:
            raise NotFound(f"{peer.name} has nothing in '{folder}'")
        if len(found) > MAX_FOLDER_FILES:
            raise InvalidRequest(f"'{folder}' has more than {MAX_FOLDER_FILES} files: download folders inside it")
        wanted = [Wanted(check_name(to + one.name[len(folder) :]), one.file_id, one.size) for one in found]
        return Order(folder, wanted, [peer], tree=True)

    def _list(self, peer: Peer, folder: str) -> list[FileEntry]:
        """The files that the peer has there; a few more than MAX_FOLDER_FILES if it has more. Unavailable."""
        for _ in range(_LISTINGS):
            try:
                return self._pages(peer, folder)
            except InvalidRequest:
                pass  # whoever answered one page could not go on where another's ended
        raise Unavailable(f"the list of what {peer.name} has in '{folder}' breaks off: try again")

    def _pages(self, peer: Peer, folder: str) -> list[FileEntry]:
        found: dict[str, FileEntry] = {}
        token = ""
        while True:
            page = self._finder.files(peer.peer_id, folder, _FILES_PAGE, token)
            if not page.complete:
                raise Unavailable(f"nobody who knows all that {peer.name} has in '{folder}' can be asked now")
            found |= {one.name: one for one in page.files}
            token = page.next_page_token
            if not token or len(found) > MAX_FOLDER_FILES:
                return list(found.values())

    def _choose_peer(self, folder: str, choose: str | None) -> Peer:
        answer = self._finder.peers(folder=folder, page_size=_PEERS_PAGE)
        having = [info for info in answer.peers if info.peer.peer_id != self._own_id and info.files]
        if not having:
            raise self._nothing(answer, f"no peer shares anything in '{folder}'")
        if len(having) > 1 and choose != "most":
            raise Conflict(f"{len(having)} peers have a folder '{folder}': say from which", "ambiguous", having)
        return max(having, key=_files).peer

    def _nothing(self, answer: LookupAnswer, words: str) -> NotFound | Unavailable:
        """Not there, or nobody who would know was reached: a person must be able to tell."""
        if answer.complete or not self._networked:
            return NotFound(words)
        return Unavailable(f"{words} that could be asked, but the locator does not answer now: try again later")


def _files(info: PeerInfo) -> int:
    return info.files
