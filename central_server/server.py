"""The gRPC server: who calls, what for, until when, and which status an error is.

Every method is in `METHODS`, with the scope its token needs; what is not there does not exist.
"""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from central_server import account_rpc, model, people, rpc
from central_server.account_rpc import AccountService
from central_server.calls import Call, Method
from central_server.connections import ConnectionLimits
from central_server.doorman import Doorman
from central_server.rpc import Service
from protos.logs import METADATA_KEY, begin_request
from protos.tokens import InvalidToken, Verifier

DEFAULT_SECONDS = 10.0  # for a call without a deadline
_SPARE_SECONDS = 0.05  # of a caller's deadline, for the way back
STATUS: Mapping[type[model.LocatorError], grpc.StatusCode] = {
    model.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    model.UnknownLease: grpc.StatusCode.NOT_FOUND,
    model.LeaseTaken: grpc.StatusCode.FAILED_PRECONDITION,
    model.AddressNotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    model.TooManyFiles: grpc.StatusCode.RESOURCE_EXHAUSTED,
    model.UnknownPeer: grpc.StatusCode.NOT_FOUND,
    model.SearchTooBroad: grpc.StatusCode.DEADLINE_EXCEEDED,
    model.StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    people.AccountsOff: grpc.StatusCode.FAILED_PRECONDITION,
    people.SignupClosed: grpc.StatusCode.PERMISSION_DENIED,
    people.UserTaken: grpc.StatusCode.ALREADY_EXISTS,
    people.WrongLogin: grpc.StatusCode.PERMISSION_DENIED,
    people.LoginRequired: grpc.StatusCode.NOT_FOUND,
    people.SlowDown: grpc.StatusCode.RESOURCE_EXHAUSTED,
    people.NoRoom: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
Observe = Callable[[str, str, float], None]  # an rpc, its status (OK, NOT_FOUND, …) and how many seconds it took
METHODS: Mapping[str, Mapping[str, Method]] = {rpc.SERVICE: rpc.METHODS, account_rpc.SERVICE: account_rpc.METHODS}
_log = logging.getLogger(__name__)


class Server:
    """The gRPC server. `clock` is the rules' time; tokens are checked by Unix time.

    With `credentials` it is TLS only; without `accounts` it has none. `observe` is told of each call that ended.
    """

    def __init__(
        self,
        service: Service,
        verifier: Verifier,
        clock: Callable[[], float],
        *,
        limits: ConnectionLimits | None = None,
        credentials: grpc.ServerCredentials | None = None,
        accounts: AccountService | None = None,
        observe: Observe = lambda _rpc, _status, _seconds: None,
    ) -> None:
        self._observe = observe
        limits = limits or ConnectionLimits()
        self._credentials = credentials
        self._doorman = Doorman(limits.unasked_bytes)
        self._verifier = verifier
        self._clock = clock
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # its stubs lack it
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),  # a port in use is an error, not a second server
                *limits.options(),
            ],
            maximum_concurrent_rpcs=limits.calls,
        )
        services: Mapping[str, Service | AccountService] = {
            rpc.SERVICE: service,
            account_rpc.SERVICE: accounts or AccountService(),
        }
        for served, methods in METHODS.items():
            handlers = {name: self._handler(name, services[served], method) for name, method in methods.items()}
            self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(served, handlers)])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*METHODS, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the real port (0 asks for any free one). OSError: in use, or not allowed."""
        _check_free(host, port)
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._credentials is None:
                found = self._server.add_insecure_port(where)
            else:
                found = self._server.add_secure_port(where, self._credentials)
        except RuntimeError:
            found = 0
        if not found:
            raise OSError(f"LOCATOR_LISTEN: {host}:{port} is in use, or no address of this machine")
        await self._server.start()
        self._doorman.start(found)
        for name in ("", *METHODS):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return found

    async def stop(self, grace: float) -> None:
        """Say so to whoever asks for health, take no new calls, give those underway `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)
        self._doorman.stop()

    def _handler(
        self, name: str, service: Service | AccountService, method: Method
    ) -> "grpc.RpcMethodHandler[bytes, Message]":  # quoted: the class has parameters only in its stubs
        # Any: grpc publishes no types for the context. The request stays bytes until its token is checked.
        async def answer(body: bytes, context: Any) -> Message | None:
            begin_request(_metadata(context, METADATA_KEY))
            began, status = time.monotonic(), grpc.StatusCode.OK
            try:
                claims = self._verifier.check(_token(context), method.scope, time.time())
                self._doorman.admitted(context.peer(), len(body))
                return await self._timed(service, method, body, bytes.fromhex(claims.issuer), context)
            except asyncio.CancelledError:  # the caller went away
                status = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                status, words, trailing = _refusal(error)
                await context.abort(status, words, trailing)
            finally:
                seconds = time.monotonic() - began
                self._observe(name, status.name, seconds)
                _log.debug("%s: %s in %.1f ms", name, status.name, seconds * 1000)
            return None

        return grpc.unary_unary_rpc_method_handler(answer, None, lambda reply: reply.SerializeToString())

    async def _timed(
        self,
        service: Service | AccountService,
        method: Method,
        body: bytes,
        peer_id: bytes,
        context: Any,  # grpc publishes no types for it
    ) -> Message:
        """Call the method, with a deadline if the caller set none."""
        remaining: float | None = context.time_remaining()
        seconds = DEFAULT_SECONDS if remaining is None else max(0.0, remaining - _SPARE_SECONDS)
        request = method.request.FromString(body)
        async with asyncio.timeout(seconds if remaining is None else None):
            return await method.answer(service, request, Call(peer_id, _address(context), self._clock(), seconds))


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
    raise OSError(f"LOCATOR_LISTEN: cannot listen on {host}:{port}: {refused and refused.strerror}") from refused


def _token(context: Any) -> str:  # Any: grpc publishes no types for it
    said = _metadata(context, "authorization") or ""
    if not said.startswith("Bearer "):
        raise InvalidToken("the request carries no token")
    return said.removeprefix("Bearer ")


def _metadata(context: Any, wanted: str) -> str | None:  # Any: as above
    for key, value in context.invocation_metadata() or ():
        if key == wanted and isinstance(value, str):
            return value
    return None


def _refusal(error: Exception) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]:
    """The status, the words and the trailing metadata that tell the caller of an error."""
    if isinstance(error, InvalidToken):
        return grpc.StatusCode.UNAUTHENTICATED, str(error), ()
    if isinstance(error, model.LocatorError):
        return STATUS[type(error)], str(error), _trailing(error)
    if isinstance(error, DecodeError):
        return grpc.StatusCode.INVALID_ARGUMENT, "the request is not a message of this rpc", ()
    if isinstance(error, TimeoutError):
        return grpc.StatusCode.DEADLINE_EXCEEDED, "the locator did not finish in time", ()
    number = secrets.token_hex(4)
    _log.error("internal error %s", number, exc_info=error)
    return grpc.StatusCode.INTERNAL, f"internal error, quote {number}", ()


def _address(context: Any) -> str:  # Any: grpc publishes no types for it
    """The caller's IP address. gRPC says `ipv4:192.0.2.1:5000`, or `ipv6:%5B2001:db8::1%5D:5000`."""
    said = unquote(str(context.peer()))
    kind, _, rest = said.partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in {"ipv4", "ipv6"} else said


def _trailing(error: model.LocatorError) -> tuple[tuple[str, str], ...]:
    """When the caller may try again, if the error says so."""
    seconds = error.retry_after if isinstance(error, people.AccountError) else None
    return () if seconds is None else (("retry-after", str(seconds)),)
