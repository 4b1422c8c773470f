"""The node: one method for each thing that other peers (PeerVerbs) or the own person (ClientVerbs) may ask of it.

It only brings the parts together; what it says and raises stands in verbs.py.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from protos.names import check_prefix
from protos.tokens import Issuer
from pserver.api.verbs import OpenedFile, StatusView
from pserver.digests import Digests, LinkView, Making, Offered
from pserver.disk.scan import Scanner
from pserver.disk.share import Share, free_bytes
from pserver.disk.small import read_small
from pserver.exchange.download import Downloads
from pserver.exchange.links import Links
from pserver.exchange.offers import Offers
from pserver.exchange.placements import Placements
from pserver.exchange.resolve import Resolver
from pserver.exchange.serving import Serving
from pserver.exchange.transfers import Transfers
from pserver.exchange.upload import Uploads
from pserver.model import (
    Conflict,
    FileEntry,
    InvalidRequest,
    LookupAnswer,
    LookupRequest,
    NotFound,
    Offer,
    OfferView,
    Peer,
    PServerError,
    SharedFile,
)
from pserver.network.accounts import Accounts
from pserver.network.lookup import Lookup
from pserver.network.membership import Membership
from pserver.network.neighbours import Neighbours
from pserver.people import Dropped
from pserver.pieces import SmallFile, Want, decode_manifest, piece_count_for
from pserver.remote.swarm_messages import SwarmNews
from pserver.views import ShareView, TransferView

_FILES_PAGE = 500
_MAX_FILES_PAGE = 2000
_MAX_REPLICAS = 64


@dataclass(frozen=True, slots=True)
class Parts:
    """What a node is made of."""

    own: Callable[[], Peer]
    version: str
    accepts_uploads: bool
    issuer: Issuer
    share: Share
    scanner: Scanner
    membership: Membership
    neighbours: Neighbours
    lookup: Lookup
    resolver: Resolver
    transfers: Transfers
    downloads: Downloads
    uploads: Uploads
    offers: Offers
    placements: Placements
    accounts: Accounts
    serving: Serving
    links: Links


class Node:
    """One peer. Thread-safe."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._began = time.monotonic()

    @property
    def parts(self) -> Parts:
        """What it is made of, for whoever watches."""
        return self._parts

    # --- what other peers ask (PeerVerbs) -----------------------------------------------------------------------

    def ping(self, nonce: str, asker: str) -> str:
        return self._parts.issuer.token(asker, f"pong:{nonce}", time.time())

    def not_ready(self) -> list[str]:
        locators, scan = self._parts.membership.locators(), self._parts.scanner.status()
        lacks_locator = bool(locators) and all(one.state != "registered" for one in locators)
        lacks_index = not scan.scanned or scan.error is not None
        return [what for what, lacks in (("locator", lacks_locator), ("index", lacks_index)) if lacks]

    def relay(self, request: LookupRequest, asker: str) -> LookupAnswer:
        return self._parts.lookup.relay(request, asker)

    def manifest(self, file_id: bytes) -> tuple[bytes, bytes | None]:
        partial = self._parts.serving.manifest(file_id)  # before the share: what lands meanwhile is in both
        if partial is not None:
            return partial
        found = self._parts.share.manifest(file_id)
        if found is None:
            raise NotFound("this peer has no such file")
        return found.encode(), None

    def open_file(self, file_id: bytes) -> OpenedFile:
        partial = self._parts.serving.open(file_id)
        if partial is not None:
            file, name, size, bitfield = partial
            return OpenedFile(file, name, file_id, size, bitfield=bitfield)
        found = self._parts.share.by_file_id(file_id)
        if found is None:
            raise NotFound("this peer has no such file")
        return self._open(found)

    def open_piece(self, file_id: bytes, want: Want, asker: str) -> tuple[OpenedFile, range | None]:
        opened, serving = self.open_file(file_id), self._parts.serving
        try:
            pieces = serving.give(file_id, piece_count_for(opened.size), opened.bitfield, want, asker)
        except PServerError:
            opened.file.close()
            raise
        return replace(opened, file=serving.sending(file_id, opened.file)), pieces

    def swarm(self, file_id: bytes, asker: Peer, has: bytes) -> SwarmNews:
        encoded, here = self.manifest(file_id)
        count = decode_manifest(encoded, file_id).piece_count
        return self._parts.serving.news(file_id, count, here, asker, has)

    def bundle(self, file_ids: Sequence[bytes], most_bytes: int) -> list[SmallFile]:
        return read_small(self._parts.share, file_ids, most_bytes)

    def offered(self, file_id: bytes) -> Offered:
        return self._parts.links.offered(file_id)

    def own_digests(self, file_id: bytes) -> Digests | Making:
        return self._parts.links.own_digests(file_id)

    def take_offer(self, offer: Offer, asker: str) -> OfferView:
        return self._parts.offers.take(offer, asker)

    def offer_state(self, offer_id: str, asker: str) -> OfferView:
        return self._parts.offers.state(offer_id, asker)

    def withdraw_offer(self, offer_id: str, asker: str) -> None:
        self._parts.offers.withdraw(offer_id, asker)

    # --- what the own person asks (ClientVerbs) -----------------------------------------------------------------

    def status(self) -> StatusView:
        parts = self._parts
        reachable = parts.membership.reachable()
        return StatusView(
            peer=parts.own(),
            version=parts.version,
            uptime_seconds=time.monotonic() - self._began,
            reachable=(reachable.ok, reachable.why),
            share=self._share_view(),
            locators=tuple((one.address, one.state, one.why) for one in parts.membership.locators()),
            neighbours=tuple(parts.neighbours.statuses()),
            transfers=parts.transfers.counts(),
            accepts_uploads=parts.accepts_uploads,
        )

    def search(self, words: str, page_size: int, page_token: str) -> LookupAnswer:
        return self._parts.lookup.search(words, page_size, page_token)

    def lookup(self, what: str) -> LookupAnswer:
        return self._parts.resolver.lookup(what)

    def peers(self, match: str, folder: str, page_token: str) -> LookupAnswer:
        return self._parts.lookup.peers(match, check_prefix(folder), 0, page_token)

    def peer_files(self, peer: str, prefix: str, page_size: int, page_token: str) -> LookupAnswer:
        found = self._parts.resolver.peer(peer)
        return self._parts.lookup.files(found.peer_id, check_prefix(prefix), page_size, page_token)

    def files(self, prefix: str, page_size: int, page_token: str) -> tuple[list[FileEntry], str]:
        size = min(page_size or _FILES_PAGE, _MAX_FILES_PAGE)
        found = self._parts.share.files(check_prefix(prefix), page_token, size + 1)
        more = found[size - 1].name if len(found) > size else ""
        return [file.entry() for file in found[:size]], more

    def file(self, name: str) -> FileEntry:
        return self._own_file(name).entry()

    def remove(self, name: str) -> None:
        file = self._own_file(name)
        self._parts.share.folder.remove(file.raw_name)
        self._parts.share.forget([file.name])
        self._parts.placements.forget(file.file_id, file.name)

    def remove_everywhere(self, name: str, session: str | None) -> Dropped:
        dropped = self._drop(self._own_file(name).file_id, session)
        self.remove(name)
        return replace(dropped, removed=True)

    def drop(self, what: str, session: str | None) -> Dropped:
        return self._drop(self._parts.resolver.file_id(what), session)

    def open_content(self, name: str) -> OpenedFile:
        return self._open(self._own_file(name))

    def start_download(self, what: str, as_name: str | None, from_peer: str | None, choose: str | None) -> TransferView:
        order = self._parts.resolver.order(what, as_name, from_peer, choose)
        started = self._parts.downloads.start(order.label, order.wanted, hints=order.hints, tree=order.tree)
        return self.transfer(started.id)

    def start_upload(
        self, name: str, to: tuple[str, ...], replicas: int | None, session: str | None = None
    ) -> TransferView:
        file = self._own_file(name)
        targets = [self._parts.resolver.peer(one) for one in dict.fromkeys(to)]
        if any(target.peer_id == self._parts.own().peer_id for target in targets):
            raise InvalidRequest(f"'{name}' is on this peer already: name another one")
        wanted = len(targets) or replicas or 1
        if wanted > _MAX_REPLICAS:
            raise InvalidRequest(f"at most {_MAX_REPLICAS} peers can be asked to hold a file at once")
        return self.transfer(self._parts.uploads.start(file, targets, wanted, session).id)

    def link(self, what: str, seconds: int, choose: str | None) -> LinkView:
        return self._parts.links.link(what, seconds, choose)

    def find_digests(self, file_id: bytes) -> Digests | Making:
        return self._parts.links.find_digests(file_id)

    def transfers(self) -> list[TransferView]:
        return self._parts.downloads.views()

    def transfer(self, transfer_id: str, items_from: int = 0) -> TransferView:
        return self._parts.downloads.view(transfer_id, items_from)

    def pause(self, transfer_id: str) -> TransferView:
        transfer = self._parts.transfers.get(transfer_id)
        if transfer.kind == "upload":
            self._parts.uploads.pause(transfer)
        else:
            self._parts.downloads.pause(transfer_id)
        return self.transfer(transfer_id)

    def resume(self, transfer_id: str, session: str | None = None) -> TransferView:
        transfer = self._parts.transfers.get(transfer_id)
        if transfer.kind == "upload":
            self._parts.uploads.resume(transfer, session)
        else:
            self._parts.downloads.resume(transfer_id)
        return self.transfer(transfer_id)

    def cancel(self, transfer_id: str) -> None:
        transfer = self._parts.transfers.get(transfer_id)
        if transfer.kind == "upload" and transfer.state in {"queued", "running", "paused"}:
            self._parts.uploads.cancel(transfer)
        else:
            self._parts.downloads.cancel(transfer_id)

    # --- parts of these -----------------------------------------------------------------------------------------

    def _own_file(self, name: str) -> SharedFile:
        """The file of that name in the own share. NotFound; Conflict "hashing" while it is being indexed."""
        found = self._parts.share.by_name(name)
        if found is not None:
            return found
        if self._parts.scanner.is_pending(name):
            raise Conflict(f"'{name}' is being indexed", "hashing")
        raise NotFound(f"there is no '{name}' in this peer's share")

    def _drop(self, file_id: bytes, session: str | None) -> Dropped:
        if session is None:
            raise NotFound("there are no accounts here: nobody knows who placed what", "no_accounts")
        return self._parts.accounts.drop_placed(session, file_id)

    def _open(self, file: SharedFile) -> OpenedFile:
        sha256 = file.sha256 if file.sha256_checked else None
        return OpenedFile(self._parts.share.open(file), file.name, file.file_id, file.size, sha256)

    def _share_view(self) -> ShareView:
        share, scan = self._parts.share, self._parts.scanner.status()
        files, size = share.totals()
        count, skipped = share.skipped()
        return ShareView(
            path=str(share.folder.path),
            files=files,
            bytes=size,
            free_bytes=free_bytes(share),
            scanning=scan.scanning,
            hashing=scan.hashing,
            error=scan.error,
            skipped=tuple(skipped),
            skipped_count=count,
        )
