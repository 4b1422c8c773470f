"""What an upload asks its targets: to take the file, shown a grant where accounts are on, and how far they are."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from pserver.exchange.transfer import ENDED, Item, Target
from pserver.model import LoginNeeded, NotFound, Offer, OfferView, Peer, PServerError, Unavailable

Granted = dict[str, str | None] | PServerError  # what to show each target, or why there is nothing to show


class Grants(Protocol):
    """What an upload needs where accounts are on (grants.py)."""

    def hold(self, transfer_id: str, session: str | None) -> None: ...
    def forget(self, transfer_id: str) -> None: ...
    def for_targets(self, transfer_id: str, file_id: bytes, targets: Sequence[str]) -> dict[str, str | None]: ...


class OfferClient(Protocol):
    """What an upload needs of a PeerClient."""

    def offer(self, peer: Peer, offer: Offer) -> OfferView: ...
    def offer_state(self, peer: Peer, offer_id: str) -> OfferView: ...
    def withdraw_offer(self, peer: Peer, offer_id: str) -> None: ...


class Asking:
    """Asks targets. Thread-safe. `patience`: seconds for which one may be out of reach before it failed.

    `own_url()` is the address under which targets reach this peer; `grants`: where accounts can be on.
    """

    def __init__(
        self,
        peers: OfferClient,
        own_url: Callable[[], str],
        grants: Grants | None,
        patience: float,
        clock: Callable[[], float],
    ) -> None:
        self._peers = peers
        self._own_url = own_url
        self._grants = grants
        self._patience = patience
        self._clock = clock
        self._silent_since: dict[tuple[str, str], float] = {}  # (transfer, peer): since when it does not answer
        self._waiting: set[str] = set()

    def hold(self, transfer_id: str, session: str | None) -> None:
        """That upload goes on in the name of this session's person."""
        if self._grants is not None:
            self._grants.hold(transfer_id, session)

    def forget(self, transfer_id: str) -> None:
        """It has ended."""
        self._waiting.discard(transfer_id)
        if self._grants is not None:
            self._grants.forget(transfer_id)

    def waits_for_login(self, transfer_id: str) -> bool:
        """Whether it could not go on, when it was last asked about, since nobody is logged in."""
        return transfer_id in self._waiting

    def granted(self, transfer_id: str, item: Item, targets: Sequence[Target]) -> Granted:
        """What to show the targets that are to be offered the file, or why there is nothing to show."""
        offered = [one.peer.peer_id for one in targets if one.state not in ENDED and one.offer_id is None]
        self._waiting.discard(transfer_id)
        if self._grants is None or not offered:
            return dict.fromkeys(offered)
        try:
            return self._grants.for_targets(transfer_id, item.file_id, offered)
        except LoginNeeded as error:
            self._waiting.add(transfer_id)
            return error
        except PServerError as error:
            return error

    def ask(self, transfer_id: str, item: Item, target: Target, grants: Granted) -> Target:
        """The target after one question.

        Four cases: it waits for somebody to log in, it refuses, it does not answer (for too long), it says.
        """
        if target.state in ENDED:
            return target
        silent = (transfer_id, target.peer.peer_id)
        try:
            said = self._question(item, target, grants)
        except LoginNeeded:
            return target
        except (Unavailable, TimeoutError) as error:
            since = self._silent_since.setdefault(silent, self._clock())
            if self._clock() - since < self._patience:
                return target
            return replace(target, state="failed", error=str(error))
        except PServerError as error:
            return replace(target, state="failed", error=str(error))
        self._silent_since.pop(silent, None)
        if said is None:
            return replace(target, offer_id=None)
        done = item.size if said.state == "done" else said.bytes_done
        return replace(target, state=said.state, bytes_done=done, error=said.error, offer_id=said.offer_id)

    def withdraw(self, target: Target) -> None:
        """Take an offer back; nothing happens if it was not taken."""
        if target.offer_id is not None:
            self._peers.withdraw_offer(target.peer, target.offer_id)

    def _question(self, item: Item, target: Target, grants: Granted) -> OfferView | None:
        """What the target says of the offer; None if it knows it no more and is to be offered the file again."""
        if target.offer_id is not None:
            try:
                return self._peers.offer_state(target.peer, target.offer_id)
            except NotFound:  # a new disk, say
                return None
        if isinstance(grants, PServerError):
            raise grants
        assert item.sha256 is not None  # whoever starts an upload gives it
        grant = grants.get(target.peer.peer_id)
        offer = Offer(item.file_id, item.size, item.name, item.sha256, self._own_url(), grant)
        return self._peers.offer(target.peer, offer)
