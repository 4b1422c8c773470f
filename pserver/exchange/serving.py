"""What this peer serves of files that it is still downloading itself, and the swarms of all files that it serves.

A partial file is served from the moment its pieces are pulled until the share has the whole file under its name:
there is no instant at which neither has it. Only pieces that verified and were written are given.
"""

import io
import os
import random
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from pserver.exchange.bitfield import from_mask, to_mask
from pserver.exchange.partial import Partial
from pserver.exchange.proofs import Proofs
from pserver.exchange.swarm import Swarm
from pserver.model import InvalidRequest, Peer, Unavailable
from pserver.pieces import Want
from pserver.remote.swarm_messages import MOST_OTHERS, SwarmNews

_MOST_SWARMS = 256
OnAsker = Callable[[str, int], None]  # a peer id, and the mask of the pieces that this peer has


class Bytes(Protocol):
    """A file that is being sent."""

    def fileno(self) -> int: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...
    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...
    def still_same(self) -> bool: ...


class PartialBytes(io.RawIOBase):
    """A partial file to be sent, behind a descriptor of its own: it outlives the rename that ends the download."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._at = 0  # of our own: the descriptor shares its position with that of the download

    def fileno(self) -> int:
        return self._descriptor

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (os.fstat(self._descriptor).st_size if base is None else base)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        left = max(os.fstat(self._descriptor).st_size - self._at, 0)
        found = os.pread(self._descriptor, left if size < 0 else min(size, left), self._at)
        self._at += len(found)
        return found

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()

    def still_same(self) -> bool:
        """Written pieces are not written again."""
        return True


class Sent:
    """A file that is being sent, and what to do when it has been."""

    def __init__(self, file: Bytes, on_close: Callable[[], None]) -> None:
        self.fileno, self.seek, self.tell, self.read = file.fileno, file.seek, file.tell, file.read
        self.still_same = file.still_same
        self._file = file
        self._on_close: Callable[[], None] | None = on_close

    def close(self) -> None:
        """Once or oftener."""
        self._file.close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()


class Serving:
    """Thread-safe. `clock`: seconds that never go back. `proofs`: of the addresses that askers say they have."""

    def __init__(self, clock: Callable[[], float], proofs: Proofs) -> None:
        self._clock = clock
        self._proofs = proofs
        self._lock = threading.Lock()
        self._partials: dict[bytes, tuple[Partial, str, OnAsker]] = {}
        self._swarms: OrderedDict[bytes, Swarm] = OrderedDict()
        self._sent: dict[bytes, int] = {}

    def begin(self, partial: Partial, name: str, on_asker: OnAsker) -> None:
        """Serve what is in that partial from now on. `on_asker` is called with what askers tell that they have."""
        with self._lock:
            self._partials[partial.manifest.file_id] = (partial, name, on_asker)

    def end(self, file_id: bytes) -> None:
        """No longer. After this the partial may be closed."""
        with self._lock:
            self._partials.pop(file_id, None)

    def manifest(self, file_id: bytes) -> tuple[bytes, bytes | None] | None:
        """The encoded manifest of a file that is being downloaded, and the pieces here (packed; None: all)."""
        with self._lock:
            found = self._partials.get(file_id)
            return None if found is None else (found[0].manifest.encode(), found[0].packed)

    def open(self, file_id: bytes) -> tuple[PartialBytes, str, int, bytes | None] | None:
        """Of a file that is being downloaded: its bytes, name, size, and the pieces here (packed; None: all)."""
        with self._lock:
            found = self._partials.get(file_id)
            if found is None:
                return None
            partial, name, _ = found
            return PartialBytes(partial.duplicate()), name, partial.manifest.size, partial.packed

    def give(self, file_id: bytes, count: int, here: bytes | None, want: Want, asker: str) -> range | None:
        """The pieces to send of a file of `count` pieces, of which `here` are here; None: none of the wanted.

        InvalidRequest; Unavailable if so many are being sent that one more would come too slowly.
        """
        choices, has = _masks(want, count)
        with self._lock:
            swarm = self._swarm(file_id)
            if self._sent.get(file_id, 0) >= swarm.most_at_once:
                raise Unavailable("so many are being sent pieces of this file that one more has to wait")
            swarm.met(asker, None, has, self._clock())
            pieces = swarm.give(choices, None if here is None else to_mask(here, count), want.most)
        self._tell(file_id, asker, has)
        return pieces

    def sending(self, file_id: bytes, file: Bytes) -> Sent:
        """Count that file as being sent until it is closed."""
        with self._lock:
            self._sent[file_id] = self._sent.get(file_id, 0) + 1
        return Sent(file, lambda: self._has_sent(file_id))

    def news(self, file_id: bytes, count: int, here: bytes | None, asker: Peer, has: bytes) -> SwarmNews:
        """Who fetches that file from this peer, for one that does too and has those pieces. InvalidRequest.

        Others are told of the asker once its address is proved.
        """
        mask, proved = _mask("bitfield", has, count), self._proofs.proved(asker)
        if not proved:
            self._proofs.look_into(asker, lambda: self._is_at(file_id, asker))
        with self._lock:
            swarm, now = self._swarm(file_id), self._clock()
            swarm.met(asker.peer_id, asker if proved else None, mask, now)
            others, more = swarm.others(asker.peer_id, MOST_OTHERS, now), swarm.more(asker.peer_id, now)
        self._tell(file_id, asker.peer_id, mask)
        return SwarmNews(here, [(peer, from_mask(each, count)) for peer, each in others], more)

    def _is_at(self, file_id: bytes, asker: Peer) -> None:
        with self._lock:
            self._swarm(file_id).met(asker.peer_id, asker, None, self._clock())

    def _tell(self, file_id: bytes, peer_id: str, has: int | None) -> None:
        """Tell our own download of the file what an asker has."""
        with self._lock:
            found = self._partials.get(file_id)
        if found is not None and has is not None:
            found[2](peer_id, has)

    def _swarm(self, file_id: bytes) -> Swarm:
        swarm = self._swarms.get(file_id)
        if swarm is None:
            swarm = self._swarms[file_id] = Swarm(random.Random())  # noqa: S311 - of no secret
        self._swarms.move_to_end(file_id)
        if len(self._swarms) > _MOST_SWARMS:
            self._swarms.popitem(last=False)
        return swarm

    def _has_sent(self, file_id: bytes) -> None:
        with self._lock:
            self._sent[file_id] -= 1
            if not self._sent[file_id]:
                del self._sent[file_id]


def _masks(want: Want, count: int) -> tuple[int, int | None]:
    choices = to_mask(want.choices, len(want.choices) * 8) << want.first
    has = None if want.has is None else _mask("P2P-Bitfield", want.has, count)
    if choices >> count:
        raise InvalidRequest("P2P-Want: the file has fewer pieces")
    return choices, has


def _mask(what: str, packed: bytes, count: int) -> int:
    try:
        return to_mask(packed, count)
    except ValueError as error:
        raise InvalidRequest(f"{what}: {error}") from None
