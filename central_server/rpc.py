"""gRPC to the rules and back: who calls, what for, until when, and which status an error is.

Every method is in `_METHODS`, with the scope its token needs; what is not there does not exist.
"""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from central_server import messages, model
from central_server.locator import Locator
from central_server.pages import cursor_of, page_token
from protos import locator_pb2 as pb
from protos.tokens import InvalidToken, Verifier

SERVICE = "p2p.locator.v1.Locator"
DEFAULT_SECONDS = 10.0  # for a call without a deadline
SEARCH_SECONDS = 5.0
_SPARE_SECONDS = 0.05  # of a caller's deadline, for the way back
_MAX_MESSAGE_BYTES = 4 * 2**20  # 2,000 entries with the longest names
_MAX_CALLS = 4096
_STATUS: Mapping[type[model.LocatorError], grpc.StatusCode] = {
    model.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    model.UnknownLease: grpc.StatusCode.NOT_FOUND,
    model.LeaseTaken: grpc.StatusCode.FAILED_PRECONDITION,
    model.AddressNotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    model.TooManyFiles: grpc.StatusCode.RESOURCE_EXHAUSTED,
    model.UnknownPeer: grpc.StatusCode.NOT_FOUND,
    model.SearchTooBroad: grpc.StatusCode.DEADLINE_EXCEEDED,
    model.StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls (a peer id), when (the rules' time), and how many seconds the answer may take."""

    peer_id: bytes
    now: float
    seconds: float


class Service:
    """One method an rpc: translate, ask the rules, translate."""

    def __init__(self, locator: Locator, locator_id: str) -> None:
        self._locator = locator
        self._locator_id = bytes.fromhex(locator_id)

    async def register(self, request: pb.RegisterRequest, call: Call) -> pb.RegisterReply:
        """Register."""
        done = await self._locator.register(call.peer_id, messages.registration(request), call.now)
        return pb.RegisterReply(
            lease_id=done.lease_id,
            **self._terms(),
            state=messages.state_message(done.state),
            neighbours=map(messages.peer_message, done.neighbours),
            reachable=done.unreachable_why is None,
            unreachable_why=done.unreachable_why or "",
            locator_time_ms=time.time_ns() // 1_000_000,
            locator_id=self._locator_id,
        )

    async def heartbeat(self, request: pb.HeartbeatRequest, call: Call) -> pb.HeartbeatReply:
        """Heartbeat."""
        alive = await self._locator.heartbeat(call.peer_id, request.lease_id, messages.vitals(request), call.now)
        return pb.HeartbeatReply(
            **self._terms(),
            state=messages.state_message(alive.state),
            neighbours=map(messages.peer_message, alive.neighbours),
        )

    async def announce(self, request: pb.AnnounceRequest, call: Call) -> pb.AnnounceReply:
        """Announce."""
        batch = await messages.announcement(request)
        state = await self._locator.announce(call.peer_id, request.lease_id, batch, call.now)
        return pb.AnnounceReply(state=messages.state_message(state))

    async def leave(self, request: pb.LeaveRequest, call: Call) -> pb.LeaveReply:
        """Leave."""
        await self._locator.leave(call.peer_id, request.lease_id, call.now)
        return pb.LeaveReply()

    async def locate(self, request: pb.LocateRequest, call: Call) -> pb.LocateReply:
        """Locate."""
        queries = [messages.query(each) for each in request.queries]
        return messages.locate_reply(await self._locator.locate(queries, request.max_holders, call.now))

    async def search(self, request: pb.SearchRequest, call: Call) -> pb.SearchReply:
        """Search."""
        name_no, file_no = cursor_of(request, request.page_token, (0, 0))
        after, seconds = (int(name_no), int(file_no)), min(call.seconds, SEARCH_SECONDS)
        page = await self._locator.search(request.words, after, request.page_size, call.now, seconds)
        groups = map(messages.group_message, page.groups)
        return pb.SearchReply(groups=groups, next_page_token=page_token(request, page.after))

    async def list_peers(self, request: pb.ListPeersRequest, call: Call) -> pb.ListPeersReply:
        """ListPeers."""
        name, peer_id = map(str, cursor_of(request, request.page_token, ("", "")))
        try:
            after = (name, bytes.fromhex(peer_id))
        except ValueError:
            raise model.InvalidRequest(why="the page token is malformed") from None
        page = await self._locator.list_peers(request.match, request.folder, after, request.page_size, call.now)
        return pb.ListPeersReply(
            peers=[messages.member_message(*each, now=call.now) for each in page.members],
            next_page_token=page_token(request, page.after and (page.after[0], page.after[1].hex())),
        )

    async def list_files(self, request: pb.ListFilesRequest, call: Call) -> pb.ListFilesReply:
        """ListFiles."""
        [after] = map(str, cursor_of(request, request.page_token, ("",)))
        page = await self._locator.list_files(request.peer_id, request.prefix, after, request.page_size, call.now)
        return pb.ListFilesReply(
            files=map(messages.entry_message, page.entries),
            next_page_token=page_token(request, None if page.after is None else (page.after,)),
        )

    async def place_upload(self, request: pb.PlaceUploadRequest, call: Call) -> pb.PlaceUploadReply:
        """PlaceUpload."""
        found = await self._locator.place_upload(
            call.peer_id, request.file_id, request.size, request.count, exclude=request.exclude, now=call.now
        )
        return pb.PlaceUploadReply(targets=map(messages.peer_message, found))

    def _terms(self) -> dict[str, int]:
        terms = self._locator.terms
        return {"lease_ms": round(1000 * terms.lease), "heartbeat_ms": round(1000 * terms.heartbeat)}


# rpc: (the scope of its token, its request, its method)
_METHODS: Mapping[str, tuple[str, type[Message], Callable[..., Awaitable[Message]]]] = {
    "Register": ("membership", pb.RegisterRequest, Service.register),
    "Heartbeat": ("membership", pb.HeartbeatRequest, Service.heartbeat),
    "Announce": ("membership", pb.AnnounceRequest, Service.announce),
    "Leave": ("membership", pb.LeaveRequest, Service.leave),
    "Locate": ("locate", pb.LocateRequest, Service.locate),
    "Search": ("locate", pb.SearchRequest, Service.search),
    "ListPeers": ("locate", pb.ListPeersRequest, Service.list_peers),
    "ListFiles": ("locate", pb.ListFilesRequest, Service.list_files),
    "PlaceUpload": ("membership", pb.PlaceUploadRequest, Service.place_upload),
}


class Server:
    """The gRPC server. `clock` is the rules' time; tokens are checked by Unix time."""

    def __init__(self, service: Service, verifier: Verifier, clock: Callable[[], float]) -> None:
        self._service = service
        self._verifier = verifier
        self._clock = clock
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # its stubs lack it
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),  # a port in use is an error, not a second server
                ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
                ("grpc.max_metadata_size", 16 * 1024),
            ],
            maximum_concurrent_rpcs=_MAX_CALLS,
        )
        handlers = {name: self._handler(*method) for name, method in _METHODS.items()}
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the real port (0 asks for any free one). OSError: in use, or not allowed."""
        _check_free(host, port)
        try:
            found = self._server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        except RuntimeError:
            found = 0
        if not found:
            raise OSError(f"cannot listen on {host}:{port}: the port is in use, or the address is not this machine's")
        await self._server.start()
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return found

    async def stop(self, grace: float) -> None:
        """Say so to whoever asks for health, take no new calls, give those underway `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)

    def _handler(
        self, scope: str, request_type: type[Message], method: Callable[..., Awaitable[Message]]
    ) -> "grpc.RpcMethodHandler[bytes, Message]":  # quoted: the class has parameters only in its stubs
        # Any: grpc publishes no types for the context. The request stays bytes until its token is checked.
        async def answer(body: bytes, context: Any) -> Message | None:
            try:
                claims = self._verifier.check(_token(context), scope, time.time())
                return await self._timed(request_type, method, body, bytes.fromhex(claims.issuer), context)
            except InvalidToken as error:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            except model.LocatorError as error:
                await context.abort(_STATUS[type(error)], str(error))
            except DecodeError:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is not a message of this rpc")
            except TimeoutError:
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the locator did not finish in time")
            except Exception:
                number = secrets.token_hex(4)
                _log.exception("internal error %s", number)
                await context.abort(grpc.StatusCode.INTERNAL, f"internal error, quote {number}")
            return None

        return grpc.unary_unary_rpc_method_handler(answer, None, lambda reply: reply.SerializeToString())

    async def _timed(
        self,
        request_type: type[Message],
        method: Callable[..., Awaitable[Message]],
        body: bytes,
        peer_id: bytes,
        context: Any,  # grpc publishes no types for it
    ) -> Message:
        """Call the method, with a deadline if the caller set none."""
        remaining: float | None = context.time_remaining()
        seconds = DEFAULT_SECONDS if remaining is None else max(0.0, remaining - _SPARE_SECONDS)
        request = request_type.FromString(body)
        async with asyncio.timeout(seconds if remaining is None else None):
            return await method(self._service, request, Call(peer_id, self._clock(), seconds))


def _check_free(host: str, port: int) -> None:
    """OSError if that cannot be listened on: gRPC would not say why, but write a line of its own to stderr."""
    refused: OSError | None = None
    try:
        for family, kind, proto, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                with socket.socket(family, kind, proto) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(where)
                    return
            except OSError as error:
                refused = error
    except OSError as error:  # no such host
        refused = error
    raise OSError(f"cannot listen on {host}:{port}: {refused and refused.strerror}") from refused


def _token(context: Any) -> str:  # Any: grpc publishes no types for it
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str) and value.startswith("Bearer "):
            return value.removeprefix("Bearer ")
    raise InvalidToken("the request carries no token")
