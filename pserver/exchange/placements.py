"""What people placed here by uploads from other peers, and what happens when one of them wants it gone.

A file that several people placed stays until the last of them drops it; one that this peer's own people have a claim
to stays in any case: they shared it before it was placed, or downloaded it later. What was renamed, or changed, is no
longer what was placed.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from protos.grants import Grant
from pserver.database import Database
from pserver.exchange import placed_rows
from pserver.exchange.grants import OfferGrants, grant_needed
from pserver.exchange.latest_word import LatestWords
from pserver.exchange.placed_rows import HOST, Placed
from pserver.exchange.transfer import Transfer
from pserver.model import Conflict, NotFound, Refused, SharedFile

_log = logging.getLogger(__name__)


class Files(Protocol):
    """What placements need of the share."""

    def by_file_id(self, file_id: bytes) -> SharedFile | None: ...
    def by_name(self, name: str) -> SharedFile | None: ...


class Placements:
    """The notes in the record of the transfers, `database`. Thread-safe; all methods raise Unavailable, NoRoom.

    `remove(file)` deletes a file of the share (NotFound; Conflict if it is not what its row says),
    `cancel(transfer_id)` ends an incoming transfer (NotFound).
    """

    def __init__(
        self,
        database: Database,
        share: Files,
        remove: Callable[[SharedFile], object],
        cancel: Callable[[str], object],
    ) -> None:
        self._database = database
        self._share = share
        self._remove = remove
        self._cancel = cancel
        self._lock = threading.Lock()  # nobody places what is just being dropped
        self._words = LatestWords()

    def note_held(self, grant: Grant) -> SharedFile | None:
        """Its user places a file that is in the share, which is returned; None if it is not there.

        Refused ("grant_needed") if it is older than that user's, or an admin's, order to drop the file.
        """
        file_id = bytes.fromhex(grant.file_id)
        with self._lock:
            if not self._words.holds(grant):
                raise _dropped_since()
            held = self._share.by_file_id(file_id)
            if held is None:
                return None
            with self._database.writing() as db:
                placed_rows.held(db, file_id, held.name, held.inode)
                placed_rows.note(db, file_id, Placed(grant.user, held.name, "", True))
        return held

    def note_coming(self, grant: Grant, name: str, begin: Callable[[], Transfer]) -> Transfer:
        """Its user places a file that an incoming transfer will bring, or has brought in this instant: that of `begin`.

        Refused as above; nothing is begun then.
        """
        file_id = bytes.fromhex(grant.file_id)
        with self._lock:
            if not self._words.holds(grant):
                raise _dropped_since()
            transfer = begin()
            with self._database.writing() as db:  # it may be one that was begun for somebody else
                if not any(one.user == grant.user and one.landed for one in placed_rows.of_file(db, file_id)):
                    placed_rows.coming(db, file_id, grant.user, name, transfer.id)
                    placed_rows.ended(db, transfer.id, [0])
        return transfer

    def forget(self, file_id: bytes, name: str) -> None:
        """This peer's own people removed that file: if it comes back, it is theirs."""
        with self._lock, self._database.writing() as db:
            placed_rows.forget_file(db, file_id, name)

    def drop(self, grant: Grant) -> None:
        """Carry out an order to drop what its user placed (an admin: what anybody did). To repeat it is harmless.

        Conflict: it is landing in this instant, and the order has to come again.
        """
        file_id = bytes.fromhex(grant.file_id)
        with self._lock:
            with self._database.reading() as db:
                known = placed_rows.of_file(db, file_id)
            self._words.drops(grant)
            gone = [one for one in known if one.user != HOST and (grant.admin or one.user == grant.user)]
            gone = [one for one in gone if not self._words.is_held_since(grant, one.user)]
            left = [one for one in known if one not in gone]
            # The notes go last: after a crash the order comes again and finds them.
            self._stop(gone, left)
            if not left:
                self._remove_placed(file_id, self._landed_names(file_id, gone))
            with self._database.writing() as db:
                for one in gone:
                    placed_rows.drop(db, file_id, one.user)

    def _stop(self, gone: Sequence[Placed], left: Sequence[Placed]) -> None:
        """End the transfers that bring it for nobody any more."""
        wanted = {one.transfer_id for one in left}
        for transfer_id in {one.transfer_id for one in gone if not one.landed} - wanted:
            try:
                self._cancel(transfer_id)
            except NotFound:
                pass  # it was forgotten

    def _landed_names(self, file_id: bytes, gone: Sequence[Placed]) -> set[str]:
        """Under which names it is here for nobody else. Conflict while it is getting one: the order comes again."""
        with self._database.reading() as db:
            known = placed_rows.of_file(db, file_id)  # anew: it may have landed before its transfer could be ended
        users = {one.user for one in gone}
        if any(one.user in users and not one.landed for one in known):
            raise Conflict("the file is getting its final name in this instant")
        return {one.name for one in known} if all(one.user in users for one in known) else set()

    def _remove_placed(self, file_id: bytes, names: set[str]) -> None:
        for name in names:
            file = self._share.by_name(name)
            if file is None or file.file_id != file_id:
                continue
            try:
                self._remove(file)
            except (NotFound, Conflict):
                continue  # it is gone, or was changed: then it is no longer what was placed
            _log.info("removed '%s': whoever placed it here wants it gone", name)


def _dropped_since() -> Refused:
    return grant_needed("it shows one from before its person wanted the file dropped")


class PlacingPeople:
    """What offers need of people: the check of their grants, and the notes of what they place."""

    def __init__(self, grants: OfferGrants, placements: Placements) -> None:
        self.granted = grants.granted
        self.note_held = placements.note_held
        self.note_coming = placements.note_coming
