"""Does the peer answer at the address it advertises? The locator asks there, once, when the peer registers.

It asks `GET URL/peer/v1/ping?nonce=HEX` with a token of its own (scope "ping", audience the peer) and expects JSON
`{"proof": TOKEN}`, a token of that peer for the locator with scope "pong:HEX". So whoever answers holds the peer's
key and answered now.
"""

import asyncio
import errno
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, NameResolutionError

from central_server.model import AddressNotAllowed, InvalidRequest, StoreUnavailable
from protos.addresses import AddressPolicy, check_url, forbidden_cause, guarded_session
from protos.deadlines import due
from protos.tokens import InvalidToken, Issuer, Verifier

TOTAL_SECONDS = 3.0
_TURN_SECONDS = 1.5  # to connect, and again for the head of the answer
_AT_ONCE = 16
_MOST_WAITING = 256
_MOST_BYTES = 8192
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_ADVICE = (
    "Let its TCP port in from the locator and all peers (the machine's firewall; on EC2 the security group), in a "
    "container publish it, and if others come by another address set PSERVER_ADVERTISE_URL to that."
)


class _Unreachable(Exception):
    """What went wrong, as the middle of a sentence."""


class Dialback:
    """Asks peers in threads, a bounded number at once. `clock` is Unix time."""

    def __init__(
        self,
        issuer: Issuer,
        network_key: bytes | None,
        policy: AddressPolicy,
        clock: Callable[[], float] = time.time,
        *,
        ca_file: str | None = None,
    ) -> None:
        self._ca_file = ca_file
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
            return _sentence(url, _failure(error), _resolved(url))
        except _Unreachable as error:
            return _sentence(url, str(error), _resolved(url))
        return None

    def _ask(self, peer_id: str, url: str, nonce: str, ends: float) -> bytes:
        if time.monotonic() >= ends:
            raise _Unreachable("was not asked, because too many peers register at once")
        token = self._issuer.token(peer_id, "ping", self._clock())
        headers = {"Authorization": f"Bearer {token}", "Connection": "close", "Accept-Encoding": "identity"}
        with (
            guarded_session(self._policy, connections=1, ca_file=self._ca_file) as session,
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
    """The body, if it is short, whole, and comes in time."""
    body = b""
    due(answer, ends)
    while len(body) <= _MOST_BYTES and time.monotonic() < ends:
        try:
            more: bytes = answer.raw.read1(_MOST_BYTES)
        except (HTTPError, OSError):  # of urllib3, for requests does not read this
            raise _Unreachable("began to answer, and broke off or was too slow") from None
        if not more:
            return body
        body += more
    raise _Unreachable("answered with more than a proof, or too slowly")


def _sentence(url: str, what: str, resolved: str = "") -> str:
    return f"{url}{resolved} {what}. {_ADVICE}"


def _resolved(url: str) -> str:
    """What the name in `url` means to the locator, if it is one. Asks the DNS, which was asked just before."""
    host = urlsplit(url).hostname or ""
    try:
        found = sorted({str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError):
        return ""
    return "" if host in found else f" (resolved to {', '.join(found[:3])})"


def _failure(error: requests.RequestException) -> str:
    """Why there was no answer, as the middle of a sentence. The cases that people meet have words of their own."""
    causes = list(_causes(error))
    if any(isinstance(cause, NameResolutionError) for cause in causes):
        return "is a name that the locator cannot resolve"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "refused the connection: nothing listens on that port there, or a firewall rejects it"
    if any(isinstance(cause, TimeoutError | requests.Timeout) for cause in causes):
        return "timed out: a firewall drops what comes, or the address means something else to the locator"
    if any(isinstance(cause, OSError) and cause.errno in _NO_WAY for cause in causes):
        return "cannot be reached from the locator: there is no way to that address"
    return f"does not answer: {_innermost(error)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it came from, as requests and urllib3 wrap them."""
    queue: list[object] = [error]
    seen: set[int] = set()
    while queue:
        one = queue.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            queue += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _innermost(error: BaseException) -> str:
    """The most telling part of a chain of wrapped errors."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return str(reason or error).split("): ", 1)[-1]
