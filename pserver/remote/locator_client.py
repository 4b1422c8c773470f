"""gRPC to one locator: values in, values out. The only file of the peer that knows gRPC.

Every call has a deadline and is sent once: whoever calls decides what to do next. What went wrong comes out as
an error of pserver/model.py, whose words name the locator's address.
"""

import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import grpc

from protos import locator_pb2 as messages
from protos.locator_pb2_grpc import LocatorStub
from protos.logs import metadata
from protos.tokens import LOCATOR_AUDIENCE, Issuer
from pserver.model import (
    FileEntry,
    FileGroup,
    InvalidRequest,
    NotFound,
    Peer,
    PeerInfo,
    PServerError,
    Query,
    Refused,
    Replaced,
    Unavailable,
)
from pserver.remote import locator_messages as said
from pserver.remote.locator_messages import Batch, IndexState, Introduction, Lease, Pulse, Registration
from pserver.remote.locator_tls import meaning
from pserver.setting_values import host_and_port, is_loopback

MEMBERSHIP = "membership"
LOCATE = "locate"
MAX_QUERIES = 256
MAX_EXCLUDED = 256
_MAX_SENT_BYTES = 4 * 1024 * 1024
_MAX_RECEIVED_BYTES = 32 * 1024 * 1024  # 256 queries with 64 holders for each
CLOCKS_APART_SECONDS = 30.0  # tokens stand 60
_OWN_DEADLINE = "Deadline Exceeded"  # gRPC's words when the time ran out on this side
_Reply = TypeVar("_Reply")
_log = logging.getLogger(__name__)

_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.max_send_message_length", _MAX_SENT_BYTES),
    ("grpc.max_receive_message_length", _MAX_RECEIVED_BYTES),
    # A locator that was restarted is found again within two seconds, one that is away costs next to nothing.
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # With keepalive on, gRPC also sets TCP_USER_TIMEOUT: a cable that was pulled is noticed in 5 s, not 15 minutes.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_http_proxy", 0),  # where a call goes is decided by the settings alone
]

_ERRORS: dict[grpc.StatusCode, type[PServerError]] = {
    grpc.StatusCode.UNAUTHENTICATED: Refused,
    grpc.StatusCode.PERMISSION_DENIED: Refused,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Refused,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.FAILED_PRECONDITION: Replaced,  # the Locator says it of leases only
}


class LocatorClient:
    """The locator at `address` (host:port), spoken to as the peer whose `issuer` this is. Thread-safe.

    `credentials`: TLS, if the locator wants it. `clock` gives Unix time, for the tokens. Connects at the first call.
    Every `timeout` is in seconds. Each verb raises Unavailable (away, too slow, or talking nonsense), Refused (the
    token or the request is not accepted) or InvalidRequest; further errors stand at the verb.
    """

    def __init__(
        self,
        address: str,
        issuer: Issuer,
        credentials: grpc.ChannelCredentials | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.address = address
        self.clocks_apart: float | None = None  # seconds between its clock and ours, as of the last register
        self.version = ""  # of the locator, as of then
        self._issuer = issuer
        self._clock = clock
        self._secure = credentials is not None
        if credentials is None:
            self._channel = grpc.insecure_channel(address, _OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, credentials, _OPTIONS)
        self._stub: Any = LocatorStub(self._channel)  # Any: generated without types

    @property
    def channel(self) -> grpc.Channel:
        """The connection, for the stubs of the locator's other services."""
        return self._channel

    @property
    def keeps_secrets(self) -> bool:
        """Whether nobody can listen on the way to it: TLS, or it does not leave this machine."""
        return self._secure or is_loopback(host_and_port(self.address)[0])

    def close(self) -> None:
        """End every call under way (they raise Unavailable) and the connection. May be called twice."""
        self._channel.close()

    # --- membership

    def register(self, introduction: Introduction, timeout: float) -> Registration:
        """Become a member; the locator dials back before it answers."""
        reply = self.call(self._stub.Register, said.register_request(introduction), MEMBERSHIP, timeout)
        answer = self._checked(said.registration, reply)
        apart = abs(answer.locator_time - self._clock())
        self.clocks_apart, self.version = apart, answer.version
        if apart > CLOCKS_APART_SECONDS:
            _log.warning("the clocks here and at the locator %s are %.0f s apart: set them right", self.address, apart)
        return answer

    def heartbeat(self, pulse: Pulse, timeout: float) -> Lease:
        """Renew the lease. NotFound: register again. Replaced: another process has this peer's key."""
        reply = self.call(self._stub.Heartbeat, said.heartbeat_request(pulse), MEMBERSHIP, timeout)
        return self._checked(said.lease, reply)

    def announce(self, lease_id: bytes, batch: Batch, timeout: float) -> IndexState:
        """Tell a change of the share. NotFound, Replaced: as heartbeat. Refused: more files than the locator allows."""
        request = said.announce_request(lease_id, batch)
        reply = self.call(self._stub.Announce, request, MEMBERSHIP, timeout)
        return self._checked(said.index_state, reply.state)

    def leave(self, lease_id: bytes, timeout: float) -> None:
        """End the membership. NotFound, Replaced: as heartbeat."""
        self.call(self._stub.Leave, messages.LeaveRequest(lease_id=lease_id), MEMBERSHIP, timeout)

    def place_upload(self, file_id: bytes, size: int, count: int, exclude: Sequence[str], timeout: float) -> list[Peer]:
        """At most `count` (1..64) peers to hold a file of `size` bytes; none of `exclude` (peer ids, ≤ 256 used)."""
        request = messages.PlaceUploadRequest(
            file_id=file_id,
            size=size,
            count=count,
            exclude=[bytes.fromhex(peer_id) for peer_id in exclude[:MAX_EXCLUDED]],
        )
        reply = self.call(self._stub.PlaceUpload, request, MEMBERSHIP, timeout)
        return said.peers(reply.targets)

    # --- lookups

    def locate(self, queries: Sequence[Query], max_holders: int, timeout: float) -> list[list[FileGroup]]:
        """Who has each of these: a list of groups a query. More than 256 go in several calls, within `timeout`."""
        deadline = time.monotonic() + timeout
        results: list[list[FileGroup]] = []
        for start in range(0, len(queries), MAX_QUERIES):
            part = queries[start : start + MAX_QUERIES]
            results += self._locate(part, max_holders, deadline - time.monotonic())
        return results

    def search(self, words: str, page_size: int, page_token: str, timeout: float) -> tuple[list[FileGroup], str]:
        """Files whose names match all the words, and the next page's token ("": no more). InvalidRequest: too broad."""
        request = messages.SearchRequest(words=words, page_size=page_size, page_token=page_token)
        reply = self.call(self._stub.Search, request, LOCATE, timeout, ran_out=InvalidRequest)
        return said.file_groups(reply.groups), reply.next_page_token

    def list_peers(
        self, match: str, folder: str, page_size: int, page_token: str, timeout: float
    ) -> tuple[list[PeerInfo], str]:
        """The living peers (as ListPeersRequest says), and the next page's token."""
        request = messages.ListPeersRequest(match=match, folder=folder, page_size=page_size, page_token=page_token)
        reply = self.call(self._stub.ListPeers, request, LOCATE, timeout)
        return said.peer_infos(reply.peers), reply.next_page_token

    def list_files(
        self, peer_id: str, prefix: str, page_size: int, page_token: str, timeout: float
    ) -> tuple[list[FileEntry], str]:
        """The files of one peer by name, and the next page's token. NotFound: no such peer alive."""
        request = messages.ListFilesRequest(
            peer_id=bytes.fromhex(peer_id), prefix=prefix, page_size=page_size, page_token=page_token
        )
        reply = self.call(self._stub.ListFiles, request, LOCATE, timeout)
        return said.file_entries(reply.files), reply.next_page_token

    # --- one call

    def _locate(self, queries: Sequence[Query], max_holders: int, timeout: float) -> list[list[FileGroup]]:
        request = messages.LocateRequest(queries=map(said.query_message, queries), max_holders=max_holders)
        reply = self.call(self._stub.Locate, request, LOCATE, timeout)
        if len(reply.results) != len(queries):
            raise self._nonsense(f"{len(reply.results)} results for {len(queries)} queries")
        return [said.file_groups(result.groups) for result in reply.results]

    def call(
        self, method: Any, request: Any, scope: str, timeout: float, ran_out: type[PServerError] = Unavailable
    ) -> Any:
        """The reply of `method`, asked with a token of that scope; raises an error of ours, its cause being gRPC's.

        `ran_out`: what it is when the locator itself says that the time was not enough.
        """
        # Any: gRPC's stubs are generated without types; the callers give them back at once.
        token = self._issuer.token(LOCATOR_AUDIENCE, scope, self._clock())
        try:
            return method(
                request,
                timeout=max(0.0, timeout),
                metadata=(("authorization", f"Bearer {token}"), *metadata()),
                wait_for_ready=False,
            )
        except grpc.RpcError as error:
            raise self._ours(error, ran_out) from error
        except ValueError as error:  # "Cannot invoke RPC on closed channel!"
            raise Unavailable(f"the connection to the locator at {self.address} is closed") from error

    def _ours(self, error: grpc.RpcError, ran_out: type[PServerError]) -> PServerError:
        status, details = error.code(), said.printable(error.details() or "", said.MAX_WHY_CHARACTERS)
        known = _ERRORS.get(status)
        if status is grpc.StatusCode.DEADLINE_EXCEEDED and details != _OWN_DEADLINE:
            known = ran_out
        if known is not None:
            return known(f"{details} (says the locator at {self.address})")
        if status is grpc.StatusCode.DEADLINE_EXCEEDED:
            return Unavailable(f"the locator at {self.address} did not answer in time")
        if status is grpc.StatusCode.CANCELLED:
            return Unavailable(f"the call to the locator at {self.address} was broken off")
        why = meaning(error.details() or "", secure=self._secure) or _told(details) or status.name
        return Unavailable(f"the locator at {self.address} cannot be reached: {why}")

    def _checked(self, check: Callable[[Any], _Reply], reply: Any) -> _Reply:
        try:
            return check(reply)
        except said.BadReply as error:
            raise self._nonsense(str(error)) from error

    def _nonsense(self, what: str) -> Unavailable:
        return Unavailable(f"the locator at {self.address} sent something malformed: {what}")


def _told(details: str) -> str:
    """What gRPC says of a connection that failed, without what only its makers want to know."""
    told = re.search(r"(?:remote host: |error: )([^:]+)$", details)
    return told[1][:1].lower() + told[1][1:] if told else details
