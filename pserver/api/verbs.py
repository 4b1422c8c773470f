"""What the two APIs ask of the node: one method a verb, in values of model.py. The node implements both protocols.

Whatever a method cannot do it says with an error of model.py (or InvalidName of a name); the APIs map those to
statuses. Ids are raw bytes here unless a docstring says hex; `asker` is the peer id (hex) that a checked token names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pserver.digests import Digests, LinkView, Making, Offered
from pserver.model import (
    FileEntry,
    LookupAnswer,
    LookupRequest,
    Offer,
    OfferView,
    Peer,
)
from pserver.people import Dropped, LoggedIn, Person
from pserver.pieces import SmallFile, Want
from pserver.remote.swarm_messages import SwarmNews
from pserver.views import ShareView, TransferView


class SharedBytes(Protocol):
    """An open file of the share, behind a descriptor of its own; whoever gets one closes it."""

    def fileno(self) -> int:
        """The descriptor of a regular file, until `close`."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As of any file."""

    def tell(self) -> int:
        """As of any file."""

    def read(self, size: int = -1, /) -> bytes:
        """As of any file."""

    def close(self) -> None:
        """Called once or oftener."""

    def still_same(self) -> bool:
        """Whether the file is still what it was when it was opened. Quick: no more than an fstat."""


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file to be sent. `sha256` only if this peer computed it itself.

    `bitfield` says which pieces are there (bit 7 of byte 0 is piece 0); None: all of them.
    """

    file: SharedBytes
    name: str
    file_id: bytes
    size: int
    sha256: bytes | None = None
    bitfield: bytes | None = None


@dataclass(frozen=True, slots=True)
class StatusView:
    """How this peer is doing, for its person. Seconds; `reachable` is (whether, why), None while unknown.

    `locators`: (address, registered|trying|unreachable|refused, why). `neighbours`: (peer, ok|dead|unknown).
    `transfers`: how many are running, queued, paused, failed.
    """

    peer: Peer
    version: str
    uptime_seconds: float
    reachable: tuple[bool | None, str]
    share: ShareView
    locators: tuple[tuple[str, str, str | None], ...]
    neighbours: tuple[tuple[Peer, str], ...]
    transfers: dict[str, int]
    accepts_uploads: bool


class PeerVerbs(Protocol):
    """What other peers may ask."""

    def ping(self, nonce: str, asker: str) -> str:
        """A token of this peer that answers the nonce: audience `asker`, scope "pong:" + nonce."""

    def not_ready(self) -> list[str]:
        """What this peer still lacks to serve others well: "locator" (none answers), "index" (it is not whole)."""

    def relay(self, request: LookupRequest, asker: str) -> LookupAnswer:
        """The answer to a lookup of another peer."""

    def manifest(self, file_id: bytes) -> tuple[bytes, bytes | None]:
        """The encoded manifest, and the bitfield (None: all pieces). NotFound."""

    def open_file(self, file_id: bytes) -> OpenedFile:
        """Open what this peer holds of that file. NotFound; Conflict "changed" if it is not what was indexed."""

    def open_piece(self, file_id: bytes, want: Want, asker: str) -> tuple[OpenedFile, range | None]:
        """Open that file, and choose of the wanted pieces what is rare and was given out least; None: none is here.

        NotFound, Conflict "changed", InvalidRequest; Unavailable if too many are being sent pieces of it.
        """

    def swarm(self, file_id: bytes, asker: Peer, has: bytes) -> SwarmNews:
        """Who fetches that file from this peer; `asker` does too, and has these pieces. NotFound, InvalidRequest."""

    def bundle(self, file_ids: Sequence[bytes], most_bytes: int) -> list[SmallFile]:
        """Those of the files that have at most one piece, read; in that order. Unavailable."""

    def offered(self, file_id: bytes) -> Offered:
        """A file of this peer's, and who else has all of it. NotFound."""

    def own_digests(self, file_id: bytes) -> Digests | Making:
        """The digests that other tools want of a file of this peer's; Making: ask again.

        NotFound; Conflict "changed"; Unavailable.
        """

    def take_offer(self, offer: Offer, asker: str) -> OfferView:
        """Begin to hold that file (state done: held already). Refused, NoRoom, Unavailable."""

    def offer_state(self, offer_id: str, asker: str) -> OfferView:
        """How far an offer of `asker` is. NotFound."""

    def withdraw_offer(self, offer_id: str, asker: str) -> None:
        """Stop fetching what `asker` offered; what is held already stays. NotFound."""


class PeopleVerbs(Protocol):
    """What the client API asks about people. Each may raise Unavailable (code "insecure": others could listen on the
    way to the locator), NotFound "no_accounts" and SlowDown; with a session: LoginNeeded if it has ended.
    """

    def in_force(self) -> bool:
        """Whether people must log in now: a locator in reach has accounts on. Never raises; quick."""

    def whose(self, session: str) -> Person | None:
        """Whose session it is; None: it means nothing here, for accounts are off."""

    def signup(self, user: str, password: str) -> LoggedIn:
        """Make an account and log in. Refused "signup_closed"; Conflict "user_taken"; InvalidRequest."""

    def login(self, user: str, password: str) -> LoggedIn:
        """Begin a session. LoginNeeded "wrong_login"."""

    def change_password(self, session: str, old: str, new: str) -> LoggedIn:
        """End all sessions of the person and begin a new one. LoginNeeded "wrong_login"; InvalidRequest."""

    def logout(self, session: str, everywhere: bool) -> None:
        """End this session, or all of its person's."""


class ClientVerbs(Protocol):
    """What the peer's own person may ask. Each answer of a lookup has the list filled that its name says."""

    def status(self) -> StatusView:
        """How this peer is doing."""

    def search(self, words: str, page_size: int, page_token: str) -> LookupAnswer:
        """The `groups` of which a name matches all words. A page_size of 0: the usual one."""

    def lookup(self, what: str) -> LookupAnswer:
        """The `groups` that a name, id:HEX or sha256:HEX stands for. NotFound, InvalidRequest."""

    def peers(self, match: str, folder: str, page_token: str) -> LookupAnswer:
        """The `peers` whose name or id matches and that share a file below the folder; "" is any."""

    def peer_files(self, peer: str, prefix: str, page_size: int, page_token: str) -> LookupAnswer:
        """The `files` of the peer of that name or id. NotFound; Conflict "ambiguous" with Peers to choose from."""

    def files(self, prefix: str, page_size: int, page_token: str) -> tuple[list[FileEntry], str]:
        """A page of the own share and the next page's token ("": this was the last)."""

    def file(self, name: str) -> FileEntry:
        """One file of the own share. NotFound; Conflict "hashing" while it is being indexed."""

    def remove(self, name: str) -> None:
        """Remove the own copy. NotFound."""

    def remove_everywhere(self, name: str, session: str | None) -> Dropped:
        """As `drop` for what has that name in the own share; then remove the own copy. NotFound."""

    def drop(self, what: str, session: str | None) -> Dropped:
        """Have the copies dropped that the uploads of the session's person placed (an admin: anybody's).

        `what`: a name or id:HEX. NotFound, "no_accounts" without a session; Conflict "ambiguous" with FileGroups;
        LoginNeeded.
        """

    def open_content(self, name: str) -> OpenedFile:
        """Open a file of the own share by its name. NotFound; Conflict "hashing" or "changed"."""

    def start_download(self, what: str, as_name: str | None, from_peer: str | None, choose: str | None) -> TransferView:
        """Begin a download of a name, id:HEX, sha256:HEX or FOLDER/ (state done: already here).

        `choose` "most": of several that fit, the one that most peers hold. NotFound; Conflict "ambiguous" with
        FileGroups, or PeerInfos for a folder, to choose from; NoRoom.
        """

    def start_upload(
        self, name: str, to: tuple[str, ...], replicas: int | None, session: str | None = None
    ) -> TransferView:
        """Begin to make other peers hold a file of the own share, in the name of the session's person.

        NotFound, Conflict "ambiguous", Unavailable.
        """

    def link(self, what: str, seconds: int, choose: str | None) -> LinkView:
        """A link to the file of this name, id:HEX or sha256:HEX. As start_download; Unavailable."""

    def find_digests(self, file_id: bytes) -> Digests | Making:
        """The digests of a file that anybody has; Making: ask again. NotFound, Unavailable."""

    def transfers(self) -> list[TransferView]:
        """All that live and the last 100 that ended, newest first, without items."""

    def transfer(self, transfer_id: str, items_from: int = 0) -> TransferView:
        """One transfer, with 100 of its items from number `items_from` on. NotFound."""

    def pause(self, transfer_id: str) -> TransferView:
        """Halt a transfer until it is resumed. NotFound, Conflict."""

    def resume(self, transfer_id: str, session: str | None = None) -> TransferView:
        """Let a paused or failed transfer go on; an upload in the name of the session's person. NotFound, Conflict."""

    def cancel(self, transfer_id: str) -> None:
        """Cancel a live transfer (its partial data is removed); forget one that ended. NotFound."""
