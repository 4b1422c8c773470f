"""A peer as the locator sees it, without a disk or threads: the real rules of a member, and a share made up in memory.

What to do next is decided by the peer's own state machine (pserver/network/membership_state.py) and travels in the
peer's own messages, over a connection of its own, with tokens of a key of its own. Thousands fit in a process.
"""

import asyncio
import math
import random
import secrets
import time
from collections import Counter
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.locator_index import entry
from protos.locator_pb2_grpc import LocatorStub
from protos.tokens import LOCATOR_AUDIENCE, Issuer
from pserver.model import Changes, FileEntry, NotFound, PServerError, Refused, Replaced, Unavailable
from pserver.network.batches import changes_that_fit, part_that_fits
from pserver.network.membership import ANNOUNCE_TIMEOUT, HEARTBEAT_TIMEOUT, REGISTER_TIMEOUT
from pserver.network.membership_actions import Beat, BeginEpoch, Register, SendChanges, SendPart, Wait
from pserver.network.membership_state import MembershipState
from pserver.remote import locator_messages as said
from pserver.remote.locator_client import _OPTIONS, MEMBERSHIP

COMMON_PEER = 1_000_000  # the number of the peer whose files all have
COMMON_FILES = 10
_LONGEST_WAIT = 3600.0
_ERRORS = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: Replaced,
    grpc.StatusCode.UNAUTHENTICATED: Refused,
    grpc.StatusCode.PERMISSION_DENIED: Refused,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Refused,
}
_OWN_CONNECTION = [*_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]  # as from another machine
_Action = Register | Beat | SendChanges | SendPart


class MadeUpShare:
    """`files` files of which the first few are the same everywhere, and a log of what changed."""

    def __init__(self, number: int, files: int) -> None:
        self.epoch = secrets.token_bytes(16)
        self._number = number
        self._made = files
        self._files: dict[str, tuple[int, FileEntry]] = {}
        self._gone: dict[str, int] = {}
        self.sequence = 0
        for each in range(files):
            self._put(FileEntry(*entry(COMMON_PEER if each < COMMON_FILES else number, each)))

    def name(self, at: int) -> str:
        """The name of one of its files, by its place."""
        return list(self._files)[at % len(self._files)]

    def replace_one(self) -> None:
        """The oldest file that is its own goes, another one comes."""
        oldest = self.name(COMMON_FILES)
        del self._files[oldest]
        self.sequence += 1
        self._gone[oldest] = self.sequence
        self._put(FileEntry(*entry(self._number, self._made)))
        self._made += 1

    def changes_since(self, sequence: int, limit: int) -> Changes | None:
        """As the share; no run is so long that `limit` matters."""
        if sequence > self.sequence or self.sequence - sequence > limit:
            return None
        added = [file for at, file in self._files.values() if at > sequence]
        return Changes(self.sequence, added, [name for name, at in self._gone.items() if at > sequence])

    def snapshot(self, after_name: str, limit: int) -> list[FileEntry]:
        """As the share."""
        return [self._files[name][1] for name in sorted(self._files) if name > after_name][:limit]

    def _put(self, file: FileEntry) -> None:
        self.sequence += 1
        self._files[file.name] = (self.sequence, file)


class SimulatedPeer:
    """One member. `url`: where the locator dials back, which any number of peers may share."""

    def __init__(self, number: int, locator: str, url: str, files: int, network_key: bytes) -> None:
        self.issuer = Issuer(Ed25519PrivateKey.generate(), network_key)
        self.share = MadeUpShare(number, files)
        self.calls: Counter[str] = Counter()  # by what came of them
        self.renewed = -math.inf
        self._at = said.IndexState(b"", 0)
        self._name, self._url = f"sim-{number:05d}", url
        self._state = MembershipState([locator], random.random)
        self._channel = grpc.aio.insecure_channel(locator, _OWN_CONNECTION)
        self._stub: Any = LocatorStub(self._channel)  # Any: generated without types
        self._woken = asyncio.Event()

    @property
    def in_step(self) -> bool:
        """Whether the locator has all of its share."""
        return (self._at.epoch, self._at.sequence) == (self.share.epoch, self.share.sequence)

    async def run(self) -> None:
        """Be a member until cancelled."""
        while True:
            self._woken.clear()
            action = self._state.next(time.monotonic(), self.share.epoch, self.share.sequence)
            if isinstance(action, Wait):
                await self._wait(action.until - time.monotonic())
            else:
                assert not isinstance(action, BeginEpoch), "the locator knows more of this share than the share"
                await self._try(action)

    async def change(self, seconds: float) -> None:
        """Replace a file about every so many seconds, until cancelled."""
        await asyncio.sleep(seconds * random.random())
        while True:
            self.share.replace_one()
            self._state.share_changed(time.monotonic())
            self._woken.set()
            await asyncio.sleep(seconds * random.uniform(0.8, 1.2))

    async def close(self) -> None:
        """Close the connection, without goodbye."""
        await self._channel.close(None)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(min(max(0.0, seconds), _LONGEST_WAIT)):
                await self._woken.wait()
        except TimeoutError:
            pass  # it is time

    async def _try(self, action: _Action) -> None:
        try:
            await self._do(action)
            self.calls[f"{type(action).__name__} OK"] += 1
        except grpc.aio.AioRpcError as error:
            self.calls[f"{type(action).__name__} {error.code().name}: {error.details()}"[:200]] += 1
            self._state.failed(time.monotonic(), action, _ours(error))

    async def _do(self, action: _Action) -> None:
        match action:
            case Register():
                await self._register()
            case Beat():
                await self._beat(action)
            case SendChanges():
                await self._send_changes(action)
            case SendPart():
                await self._send_part(action)

    async def _register(self) -> None:
        share = self.share
        own = said.Introduction(self._name, self._url, "bench", 1 << 30, True, share.epoch, share.sequence)
        reply = await self._call(self._stub.Register, said.register_request(own), REGISTER_TIMEOUT)
        answer = said.registration(reply)
        self.calls["Register reachable" if answer.reachable else answer.unreachable_why[:200]] += 1
        self._state.registered(time.monotonic(), answer)
        self._heard(answer.lease.index)

    async def _beat(self, action: Beat) -> None:
        pulse = said.Pulse(action.lease_id, 1 << 30, True, self.share.epoch, self.share.sequence)
        reply = await self._call(self._stub.Heartbeat, said.heartbeat_request(pulse), HEARTBEAT_TIMEOUT)
        lease = said.lease(reply)
        self._state.beaten(time.monotonic(), lease)
        self._heard(lease.index)

    async def _send_changes(self, action: SendChanges) -> None:
        changes = changes_that_fit(self.share, action.after)
        if changes is None:
            self._state.too_long_ago(time.monotonic())
            return
        batch = said.Batch(action.epoch, action.after, changes.sequence, changes.added, changes.removed)
        self._state.announced(time.monotonic(), action, changes.sequence, await self._announce(action, batch))

    async def _send_part(self, action: SendPart) -> None:
        entries, last = part_that_fits(self.share, action.after_name)
        assert last, "a made-up share fits in one batch"
        batch = said.Batch(action.epoch, 0, action.sequence, entries, part=action.part, last=last)
        self._state.announced(time.monotonic(), action, action.sequence, await self._announce(action, batch))

    async def _announce(self, action: SendChanges | SendPart, batch: said.Batch) -> said.IndexState:
        request = said.announce_request(action.lease_id, batch)
        reply = await self._call(self._stub.Announce, request, ANNOUNCE_TIMEOUT)
        self._at = said.index_state(reply.state)
        return self._at

    def _heard(self, index: said.IndexState) -> None:
        self._at, self.renewed = index, time.monotonic()

    async def _call(self, method: Any, request: Any, seconds: float) -> Any:  # Any: as above
        token = self.issuer.token(LOCATOR_AUDIENCE, MEMBERSHIP, time.time())
        return await method(request, timeout=seconds, metadata=(("authorization", f"Bearer {token}"),))


def _ours(error: grpc.aio.AioRpcError) -> PServerError:
    return _ERRORS.get(error.code(), Unavailable)(error.details() or "")
