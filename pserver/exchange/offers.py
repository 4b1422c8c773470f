"""Offers: what other peers would have this one hold. An offer that is taken is a download of kind "incoming"."""

import threading
from typing import Protocol

from protos.addresses import check_url
from protos.names import check_name
from pserver.exchange.transfer import ENDED, Transfer, Wanted
from pserver.model import InvalidRequest, NotFound, Offer, OfferView, Peer, Refused, SharedFile, Unavailable
from pserver.pieces import MAX_FILE_BYTES

MAX_LIVE = 256  # offers in work or waiting, of all peers together
MAX_LIVE_OF_ONE = 32  # and of one peer, so that none can keep the others out
_HELD = "0" * 8  # the offer id of a file that was here already


class Held(Protocol):
    """What offers need of the share."""

    def by_file_id(self, file_id: bytes) -> SharedFile | None: ...


class Records(Protocol):
    """What offers need of Transfers."""

    def get(self, transfer_id: str) -> Transfer: ...
    def all(self) -> list[Transfer]: ...


class Puller(Protocol):
    """What offers need of the downloads."""

    def take(self, wanted: Wanted, source: Peer) -> Transfer:
        """Begin an incoming download. NoRoom."""

    def cancel(self, transfer_id: str) -> object:
        """End it and remove what it has so far."""

    def bytes_done(self, transfer: Transfer) -> int:
        """How much of it is here by now."""

    def result(self, transfer: Transfer) -> tuple[bytes, str]:
        """(file id, name) of its one file: the final name once it has one."""


class Offers:
    """Takes offers, if this peer is willing. Thread-safe."""

    def __init__(self, share: Held, transfers: Records, puller: Puller, willing: bool) -> None:
        self._share = share
        self._transfers = transfers
        self._puller = puller
        self._willing = willing
        self._lock = threading.Lock()  # the same offer sent twice at once is taken once

    def take(self, offer: Offer, asker: str) -> OfferView:
        """Begin to hold the file. A doubled offer gets the first one's answer. Refused, NoRoom, Unavailable."""
        source = _source(offer, asker)
        if not self._willing:
            raise Refused("this peer takes no uploads from others")
        held = self._share.by_file_id(offer.file_id)
        if held is not None:
            return OfferView(_HELD, "done", held.size, held.name)
        with self._lock:
            live = [one for one in self._transfers.all() if one.kind == "incoming" and one.state not in ENDED]
            for transfer in live:
                if transfer.asker == asker and self._puller.result(transfer)[0] == offer.file_id:
                    return self._view(transfer)
            if len(live) >= MAX_LIVE or sum(one.asker == asker for one in live) >= MAX_LIVE_OF_ONE:
                raise Unavailable("this peer has too many uploads in work; try again later")
            return self._view(self._puller.take(Wanted(offer.name, offer.file_id, offer.size), source))

    def state(self, offer_id: str, asker: str) -> OfferView:
        """How far an offer of `asker` is. NotFound, also if it is another peer's."""
        return self._view(self._of(offer_id, asker))

    def withdraw(self, offer_id: str, asker: str) -> None:
        """The asker wants it no more: if it is not done, what is here so far goes. NotFound."""
        if self._of(offer_id, asker).state not in {"done", "cancelled"}:
            self._puller.cancel(offer_id)

    def _of(self, offer_id: str, asker: str) -> Transfer:
        transfer = self._transfers.get(offer_id)
        if transfer.kind != "incoming" or transfer.asker != asker:
            raise NotFound("there is no such offer of yours")
        return transfer

    def _view(self, transfer: Transfer) -> OfferView:
        state = "queued" if transfer.state == "paused" else transfer.state  # its person will resume it
        error = transfer.error[1] if transfer.error else None
        name = self._puller.result(transfer)[1]
        return OfferView(transfer.id, state, self._puller.bytes_done(transfer), name, error)


def _source(offer: Offer, asker: str) -> Peer:
    check_name(offer.name)
    if not 0 <= offer.size <= MAX_FILE_BYTES:
        raise InvalidRequest("size: is more than a file can have")
    try:
        return Peer(asker, "the offering peer", check_url(offer.url))
    except ValueError as error:
        raise InvalidRequest(f"url: {error}") from None
