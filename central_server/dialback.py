"""Does the peer answer at the address it advertises? The locator asks there, once, when the peer registers.

It asks `GET URL/peer/v1/ping?nonce=HEX` with a token of its own (scope "ping", audience the peer) and expects JSON
`{"proof": TOKEN}`, a token of that peer for the locator with scope "pong:HEX". So whoever answers holds the peer's
key and answered now.
"""

import asyncio
import json
import secrets
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import requests

from central_server.model import AddressNotAllowed, InvalidRequest, StoreUnavailable
from protos.addresses import AddressPolicy, check_url, forbidden_cause, guarded_session
from protos.tokens import InvalidToken, Issuer, Verifier

TOTAL_SECONDS = 3.0
_TURN_SECONDS = 1.5  # to connect, and again for each wait for an answer
_AT_ONCE = 16
_MOST_WAITING = 256
_MOST_BYTES = 8192
_ADVICE = (
    "Set PSERVER_ADVERTISE_URL to an address of this machine that others can reach, and let its firewall pass the port."
)


class _Unreachable(Exception):
    """What went wrong, as the middle of a sentence."""


class Dialback:
    """Asks peers in threads, a bounded number at once. `clock` is Unix time."""

    def __init__(
        self, issuer: Issuer, network_key: bytes | None, policy: AddressPolicy, clock: Callable[[], float] = time.time
    ) -> None:
        self._issuer = issuer
        self._verifier = Verifier(issuer.peer_id, network_key)
        self._policy = policy
        self._clock = clock
        self._threads = ThreadPoolExecutor(_AT_ONCE, "dialback")
        self._waiting = 0

    async def __call__(self, peer_id: bytes, url: str) -> str | None:
        """Why the peer cannot be reached at `url`, for a person; None if it can. Takes 3 seconds at most.

        InvalidRequest: that is no URL of a peer. AddressNotAllowed: the locator may not connect there.
        """
        try:
            check_url(url)
        except ValueError as error:
            raise InvalidRequest(why=str(error)) from None
        if self._waiting >= _MOST_WAITING:
            raise StoreUnavailable(why="too many peers register at once")
        self._waiting += 1
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(self._threads, self._why, peer_id.hex(), url, time.monotonic() + TOTAL_SECONDS)
        asked.add_done_callback(self._answered)
        try:
            return await asyncio.wait_for(asyncio.shield(asked), TOTAL_SECONDS)
        except TimeoutError:
            return _sentence(url, f"did not answer within {TOTAL_SECONDS:g} seconds")

    def close(self) -> None:
        """Ask nobody any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _answered(self, asked: "asyncio.Future[str | None]") -> None:
        self._waiting -= 1
        if not asked.cancelled():
            asked.exception()  # seen: if nobody waits any more, nobody needs to hear of it

    def _why(self, peer_id: str, url: str, ends: float) -> str | None:
        """In a thread: the same, without the limit on the whole."""
        nonce = secrets.token_hex(16)
        try:
            self._check_proof(peer_id, nonce, self._ask(peer_id, url, nonce, ends))
        except requests.RequestException as error:
            forbidden = forbidden_cause(error)
            if forbidden is not None:
                raise AddressNotAllowed(url=url, why=forbidden) from None
            return _sentence(url, f"does not answer: {_innermost(error)}")
        except _Unreachable as error:
            return _sentence(url, str(error))
        return None

    def _ask(self, peer_id: str, url: str, nonce: str, ends: float) -> bytes:
        if time.monotonic() >= ends:
            raise _Unreachable("was not asked, because too many peers register at once")
        token = self._issuer.token(peer_id, "ping", self._clock())
        headers = {"Authorization": f"Bearer {token}", "Connection": "close", "Accept-Encoding": "identity"}
        with (
            guarded_session(self._policy, connections=1) as session,
            session.get(
                f"{url}/peer/v1/ping",
                params={"nonce": nonce},
                headers=headers,
                timeout=_TURN_SECONDS,
                stream=True,
                allow_redirects=False,
            ) as answer,
        ):
            if answer.status_code != 200:
                raise _Unreachable(
                    f"answered with HTTP status {answer.status_code}: is this the peer API of a PServer?"
                )
            return _read(answer, ends)

    def _check_proof(self, peer_id: str, nonce: str, body: bytes) -> None:
        try:
            proof = str(json.loads(body)["proof"])
            issuer = self._verifier.check(proof, f"pong:{nonce}", self._clock()).issuer
        except (ValueError, TypeError, KeyError, RecursionError):
            raise _Unreachable("answered, but not as a PServer does") from None
        except InvalidToken as error:
            raise _Unreachable(f"answered, but its proof is not valid ({error})") from None
        if issuer != peer_id:
            raise _Unreachable(f"is another peer ({issuer[:16]}…), not this one")


def _read(answer: requests.Response, ends: float) -> bytes:
    """The body, if it is short and comes in time."""
    body = b""
    while len(body) <= _MOST_BYTES and time.monotonic() < ends:
        more: bytes = answer.raw.read1(_MOST_BYTES)
        if not more:
            return body
        body += more
    raise _Unreachable("answered with more than a proof, or too slowly")


def _sentence(url: str, what: str) -> str:
    return f"{url} ({_resolved(url)}) {what}. {_ADVICE}"


def _resolved(url: str) -> str:
    """What the name in `url` means to the locator. Called after it was looked up once, so the answer is near."""
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return "a name as the locator resolves it"
    return f"address {found[0][4][0]}"


def _innermost(error: BaseException) -> str:
    """The most telling part of a chain of wrapped errors."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return str(reason or error).split("): ", 1)[-1]
