"""A locator over real gRPC that says what a test tells it to, and notes what it is asked.

It checks tokens as the real one does, and nothing else; the rules of the real one are tested where they are.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc

from protos import locator_pb2 as messages
from protos.locator_pb2_grpc import (
    AccountsServicer,
    LocatorServicer,
    add_AccountsServicer_to_server,
    add_LocatorServicer_to_server,
)
from protos.tokens import LOCATOR_AUDIENCE, InvalidToken, Verifier

SCOPES = {"Register": "membership", "Heartbeat": "membership", "Announce": "membership", "Leave": "membership"}
SCOPES |= {"PlaceUpload": "membership", "Locate": "locate", "Search": "locate"}
SCOPES |= {"ListPeers": "locate", "ListFiles": "locate"}
SCOPES |= {"Signup": "account", "Login": "account", "Logout": "account", "CheckSession": "account"}
SCOPES |= {"ChangePassword": "account", "GrantHold": "account", "DropPlaced": "account"}
SCOPES |= {"TakeOrders": "membership", "FinishOrders": "membership"}
Answer = Callable[[Any], Any]  # a request's message to a reply's, or Said


class Said(Exception):
    """What an answer raises to end the call with a status; `retry_after`: the trailing metadata of that name."""

    def __init__(self, status: grpc.StatusCode, details: str, retry_after: str | None = None) -> None:
        super().__init__(details)
        self.status, self.details, self.retry_after = status, details, retry_after


class ScriptedLocator(LocatorServicer, AccountsServicer):  # type: ignore[misc]  # generated without types
    """`answers[verb]` makes the replies; `asked` lists (verb, request, issuer) in order."""

    def __init__(self, verifier: Verifier | None, clock: Callable[[], float]) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, Any, str]] = []
        self.released = threading.Event()  # ends the calls that hang
        self._verifier = verifier
        self._clock = clock
        for verb in SCOPES:
            setattr(self, verb, self._handler(verb))

    def hang(self, _request: object) -> object:
        """An answer that does not come before the test ends."""
        self.released.wait(20)
        raise Said(grpc.StatusCode.ABORTED, "the test is over")

    def of(self, verb: str) -> list[Any]:
        """The requests of that verb, in order."""
        return [request for asked, request, _issuer in self.asked if asked == verb]

    def _handler(self, verb: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            issuer = self._issuer(verb, context)
            self.asked.append((verb, request, issuer))
            try:
                return self.answers[verb](request)
            except Said as said:
                if said.retry_after is not None:
                    context.set_trailing_metadata((("retry-after", said.retry_after),))
                context.abort(said.status, said.details)
            except KeyError:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, verb)

        return handle

    def _issuer(self, verb: str, context: grpc.ServicerContext) -> str:
        if self._verifier is None:
            return ""
        token = str(dict(context.invocation_metadata()).get("authorization", "")).removeprefix("Bearer ")
        try:
            return self._verifier.check(token, SCOPES[verb], self._clock()).issuer
        except InvalidToken as error:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
            raise


@contextmanager
def running(
    clock: Callable[[], float], network_key: bytes | None = None, port: int = 0
) -> Iterator[tuple[ScriptedLocator, str]]:
    """The locator and its address, until the end of the block."""
    scripted = ScriptedLocator(Verifier(LOCATOR_AUDIENCE, network_key), clock)
    with futures.ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        add_LocatorServicer_to_server(scripted, server)
        add_AccountsServicer_to_server(scripted, server)
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        try:
            yield scripted, f"127.0.0.1:{bound}"
        finally:
            scripted.released.set()
            server.stop(0).wait()


def state(epoch: bytes = b"", sequence: int = 0, wanted: bool = False, delay_ms: int = 0) -> messages.AnnounceState:
    """Where the locator is in a peer's index."""
    return messages.AnnounceState(epoch=epoch, sequence=sequence, snapshot_wanted=wanted, snapshot_delay_ms=delay_ms)
