"""Offers: what other peers would have this one hold. An offer that is taken is a download of kind "incoming"."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

from protos.addresses import check_url
from protos.grants import Grant
from protos.names import check_name
from pserver.exchange.transfer import ENDED, Transfer, Wanted
from pserver.model import InvalidRequest, NotFound, Offer, OfferView, Peer, Refused, SharedFile, TooMany, Unavailable
from pserver.pieces import MAX_FILE_BYTES

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

    def take(self, wanted: Wanted, source: Peer, user: str | None) -> Transfer:
        """Begin an incoming download, for a user where accounts are on: noted with it. NoRoom."""

    def cancel(self, transfer_id: str) -> object:
        """End it and remove what it has so far."""

    def bytes_done(self, transfer: Transfer) -> int:
        """How much of it is here by now."""

    def result(self, transfer: Transfer) -> tuple[bytes, str]:
        """(file id, name) of its one file: the final name once it has one."""


class People(Protocol):
    """What offers need where accounts are on: whose upload it is, and a note of what that person placed here."""

    def granted(self, grant: str | None, file_id: bytes, asker: str) -> Grant | None:
        """By which `asker` may offer it; None where accounts are off. Refused."""

    def note_held(self, grant: Grant) -> SharedFile | None:
        """Its person places what is in the share already; None if it is not. Refused: it was dropped since."""

    def note_coming(self, grant: Grant, name: str, begin: Callable[[], Transfer]) -> Transfer:
        """Its person places what the transfer of `begin` will bring. Refused as above: nothing was begun."""


class Offers:
    """Takes offers, if this peer is willing. Thread-safe.

    At most so many are in work or waiting: `most` of all peers together, and `most_of_one`, so that none can keep the
    others out. `people`: who is asked about grants; None: there are no accounts.
    """

    def __init__(
        self,
        share: Held,
        transfers: Records,
        puller: Puller,
        willing: bool,
        *,
        most: int = 256,
        most_of_one: int = 32,
        people: People | None = None,
    ) -> None:
        self._share = share
        self._transfers = transfers
        self._puller = puller
        self._willing = willing
        self._most = most
        self._most_of_one = most_of_one
        self._people = people
        self._lock = threading.Lock()  # the same offer sent twice at once is taken once

    def take(self, offer: Offer, asker: str) -> OfferView:
        """Begin to hold the file. A doubled offer gets the first one's answer.

        Refused ("grant_needed": where accounts are on), NoRoom, Unavailable; TooMany of that peer's.
        """
        source = _source(offer, asker)
        if not self._willing:
            raise Refused("this peer takes no uploads from others")
        grant = self._people.granted(offer.grant, offer.file_id, asker) if self._people is not None else None
        held = self._held(offer.file_id, grant)
        if held is not None:
            return OfferView(_HELD, "done", held.size, held.name)
        with self._lock:
            begin = partial(self._begun, offer, asker, source, grant.user if grant is not None else None)
            if self._people is not None and grant is not None:
                return self._view(self._people.note_coming(grant, offer.name, begin))
            return self._view(begin())

    def _held(self, file_id: bytes, grant: Grant | None) -> SharedFile | None:
        """The file if it is here; noted as placed by the user of `grant`, where accounts are on."""
        if self._people is not None and grant is not None:
            return self._people.note_held(grant)
        return self._share.by_file_id(file_id)

    def _begun(self, offer: Offer, asker: str, source: Peer, user: str | None) -> Transfer:
        """The transfer that brings it: the one that does already, or a new one."""
        live = [one for one in self._transfers.all() if one.kind == "incoming" and one.state not in ENDED]
        for transfer in live:
            if transfer.asker == asker and self._puller.result(transfer)[0] == offer.file_id:
                return transfer
        if sum(one.asker == asker for one in live) >= self._most_of_one:
            raise TooMany(f"{self._most_of_one} uploads of yours are in work here already; try again later")
        if len(live) >= self._most:
            raise Unavailable("this peer has too many uploads in work; try again later")
        return self._puller.take(Wanted(offer.name, offer.file_id, offer.size), source, user)

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
