"""Links to files for tools that know nothing of us, and what is told to such tools about a file.

Whoever holds all of a file serves it to whoever shows a link; a peer that is still fetching it is left out, since
tools give up on a source that lacks a piece.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from protos.links import make_link
from protos.tokens import Issuer
from pserver.digests import Digests, LinkView, Making, Offered
from pserver.exchange.resolve import Resolver
from pserver.model import FileGroup, InvalidRequest, NotFound, Peer, PServerError, SharedFile
from pserver.remote.peer_http import PeerLied

_HOLDERS = 32
_TRIED = 4  # holders asked for digests, one after the other


class HolderFinder(Protocol):
    """What is asked of the lookups."""

    def find_holders(self, file_ids: Sequence[bytes]) -> dict[bytes, FileGroup]: ...


class OwnFiles(Protocol):
    """What is asked of the share."""

    def by_file_id(self, file_id: bytes) -> SharedFile | None: ...


class OwnDigests(Protocol):
    """What makes digests of own files."""

    def get(self, file: SharedFile) -> Digests | Making: ...


class DigestClient(Protocol):
    """What is asked of other peers."""

    def digests(self, peer: Peer, file_id: bytes, size: int) -> Digests | Making: ...


class Links:
    """Makes links, and finds what documents about a file say. Thread-safe. `now` gives Unix time."""

    def __init__(
        self,
        own: Callable[[], Peer],
        issuer: Issuer,
        resolver: Resolver,
        lookup: HolderFinder,
        *,
        share: OwnFiles,
        digesting: OwnDigests,
        peers: DigestClient,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._own = own
        self._issuer = issuer
        self._resolver = resolver
        self._find_holders = lookup.find_holders
        self._share = share
        self._digesting = digesting
        self._peers = peers
        self._now = now

    def link(self, what: str, seconds: int, choose: str | None) -> LinkView:
        """A link to the file that NAME, id:HEX or sha256:HEX stands for, good for that long (1 s to 7 days).

        NotFound, Unavailable, Conflict "ambiguous" unless `choose` is "most", InvalidName, InvalidRequest.
        """
        if what.endswith("/"):
            raise InvalidRequest("a link is for one file, not for a folder")
        (wanted,) = self._resolver.order(what, None, None, choose).wanted
        group = self._found(wanted.file_id)
        offered = Offered(wanted.name, wanted.file_id, wanted.size, self._bases(group))
        if not offered.holders:
            raise NotFound(f"no peer has all of '{what}' yet")
        now = self._now()
        return LinkView(offered, make_link(self._issuer, wanted.file_id.hex(), now, seconds), int(now) + seconds)

    def offered(self, file_id: bytes) -> Offered:
        """A file of the own share, and all who have it. NotFound."""
        file = self._own_file(file_id)
        found = self._find_holders([file_id]).get(file_id)
        holders = (self._own().url,) if found is None else self._bases(found)
        return Offered(file.name, file_id, file.size, holders)

    def own_digests(self, file_id: bytes) -> Digests | Making:
        """The digests of a file of the own share. NotFound, Conflict "changed", Unavailable."""
        return self._digesting.get(self._own_file(file_id))

    def find_digests(self, file_id: bytes) -> Digests | Making:
        """The digests of a file, from the own share or else from another holder. NotFound, Unavailable."""
        if self._share.by_file_id(file_id) is not None:
            return self.own_digests(file_id)
        group = self._found(file_id)
        failure: PServerError = NotFound("no peer has all of that file")
        for holder in [one for one in group.holders if not one.partial][:_TRIED]:
            try:
                return self._from(holder.peer, group)
            except PServerError as error:
                failure = error
        raise failure

    def _from(self, holder: Peer, group: FileGroup) -> Digests | Making:
        found = self._peers.digests(holder, group.file_id, group.size)
        if isinstance(found, Digests) and found.sha256 != group.sha256:
            raise PeerLied(f"{holder.name} sent the digests of another file")
        return found

    def _own_file(self, file_id: bytes) -> SharedFile:
        found = self._share.by_file_id(file_id)
        if found is None:
            raise NotFound("this peer has no such file")
        return found

    def _found(self, file_id: bytes) -> FileGroup:
        found = self._find_holders([file_id]).get(file_id)
        if found is None:
            raise NotFound("no peer has that file any more")
        return found

    def _bases(self, group: FileGroup) -> tuple[str, ...]:
        """Where the whole file is served, this peer first: a link made here works here."""
        others = [holder.peer.url for holder in group.holders if not holder.partial]
        own = [url for url in others if url == self._own().url]
        return tuple(dict.fromkeys(own + others))[:_HOLDERS]
