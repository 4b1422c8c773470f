"""One HTTP request to another peer: where it may go, how long it may take, how much may come back.

Whatever goes wrong becomes an error of ours once, here. There are these cases, and a download acts on which it is:

  PeerDead      nobody answers there, or the connection broke: try again later, elsewhere meanwhile
  PeerStalled   it took the request and then sent nothing for too long: the same
  PeerBusy      it said that it has too much to do: the same
  PeerLied      it sent what no honest peer sends: do not ask it again
  LacksPiece    it has the file, but not that piece (yet)
  NotFound, Refused, Conflict "changed", NoRoom, InvalidRequest: as it said
"""

import base64
import binascii
import http.client
import json
import socket
import time
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType

import requests
import requests.adapters
import urllib3.exceptions
from requests.structures import CaseInsensitiveDict
from urllib3.connectionpool import HTTPConnectionPool

from protos.addresses import AddressPolicy, forbidden_cause, guarded_session
from protos.deadlines import due
from protos.logs import REQUEST_ID, request_id
from pserver.model import Conflict, InvalidRequest, NoRoom, NotFound, Peer, PServerError, Refused, Unavailable
from pserver.remote.short_ask import PlainAnswer, ShortAsk

CONNECT_SECONDS = 1.0
READ_SECONDS = 5.0
MAX_JSON_BYTES = 8 << 20
MAX_PROBLEM_BYTES = 64 << 10
_ALWAYS = {"Accept-Encoding": "identity", "User-Agent": "pserver"}
MAX_BITFIELD_BYTES = 1 << 17  # of the largest file: 1 Mi pieces
_MAX_DETAIL_CHARACTERS = 300
_CHUNK_BYTES = 64 << 10
_CONNECTIONS_A_PEER = 16


class PeerDead(Unavailable):
    """The other peer cannot be reached, or the connection to it broke."""


class PeerStalled(Unavailable):
    """The other peer took the request and then sent nothing."""


class PeerBusy(Unavailable):
    """The other peer has too much to do."""


class PeerLied(Unavailable):
    """The other peer sent something that was not agreed."""


class LacksPiece(NotFound):
    """The other peer does not have that piece. `bitfield`: the pieces it has, if it said."""

    def __init__(self, message: str, bitfield: bytes | None) -> None:
        super().__init__(message)
        self.bitfield = bitfield


class LibraryAnswer:
    """As PlainAnswer, but the library's: an answer whose head is here. A context manager, or ended by `end`."""

    slice_bytes = 16 << 10  # how much to read at once, as long as it is not known how quickly it comes

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        self._response = response
        # urllib3's own readinto reads into fresh bytes and copies; that of http.client below it reads from the
        # socket into the buffer.
        self._body: http.client.HTTPResponse = response.raw._original_response  # type: ignore[assignment] # always one
        self.socket = _socket_of(self._body)

    def header(self, name: str) -> str | None:
        """The value of that header."""
        value: str | None = self._response.headers.get(name)
        return value

    def readinto(self, into: memoryview) -> int:
        """Read until `into` is full, or the connection ends; how many bytes."""
        return self._body.readinto(into)

    def body(self, most_bytes: int, ends: float) -> bytes | None:
        """All of the body, here by `ends` (monotonic seconds), or as much as comes; None if it is longer than that."""
        read = bytearray()
        due(self._response, ends)
        while chunk := self._response.raw.read1(_CHUNK_BYTES, decode_content=False):
            read += chunk
            if len(read) > most_bytes:
                return None
            if time.monotonic() > ends:
                raise TimeoutError("timed out")
        return bytes(read)

    def end(self) -> None:
        """Let go of the connection: it may be used again if all of the body was read, else it is closed."""
        if self._body.isclosed():
            self._response.raw.release_conn()
        else:
            self._response.close()

    def __enter__(self) -> "LibraryAnswer":
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.end()


Answer = PlainAnswer | LibraryAnswer


class PeerHttp:
    """Requests to other peers, on kept connections. Thread-safe. Everything it raises is of the model or above."""

    def __init__(self, policy: AddressPolicy, ca_file: str | None = None) -> None:
        self._session = guarded_session(policy, _CONNECTIONS_A_PEER, ca_file)
        self._session.headers.update(_ALWAYS)
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # peers set no cookies here
        self._short = ShortAsk(self._pool)

    def close(self) -> None:
        """Close the idle connections."""
        self._session.close()

    def answer(
        self,
        method: str,
        peer: Peer,
        path: str,
        token: str | None,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        read_seconds: float = READ_SECONDS,
    ) -> Answer:
        """The answer, once its head is here and its status is below 300; whoever gets it ends it (a context manager).

        `read_seconds`: how long nothing may come, and how long all of the head may take.
        """
        sent = {**_ALWAYS, **(headers or {})}
        if request_id():
            sent[REQUEST_ID] = request_id()
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        encoded = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            encoded = json.dumps(body, ensure_ascii=False).encode()  # names as they are: bodies have a limit
        with _our_errors(peer):
            answer: Answer | None = None
            if peer.url.isascii():
                answer = self._short.ask(method, peer.url, path, sent, body=encoded, seconds=read_seconds)
            if answer is None:
                answer = LibraryAnswer(self._send(method, peer.url + path, sent, encoded, read_seconds))
        if answer.status >= 300:
            with answer:
                raise self._problem(peer, answer)
        return answer

    def json(
        self,
        method: str,
        peer: Peer,
        path: str,
        token: str | None,
        *,
        body: object = None,
        seconds: float = READ_SECONDS,
    ) -> object:
        """The JSON that is answered. `seconds`: how long all of it may take, from the first byte of the request."""
        ends = time.monotonic() + seconds
        with self.answer(method, peer, path, token, body=body, read_seconds=seconds) as answer:
            return _parsed(peer, self.body(peer, answer, MAX_JSON_BYTES, ends))

    def body(self, peer: Peer, answer: Answer, most_bytes: int, ends: float) -> bytes:
        """All of the body, if it has at most `most_bytes` and is here by `ends` (monotonic seconds)."""
        with _our_errors(peer):
            read = answer.body(most_bytes, ends)
        if read is None:
            raise PeerLied(f"{peer.name} sent more than the {most_bytes} bytes that this can be")
        return read

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, read_seconds: float
    ) -> requests.Response:
        timeout = (min(CONNECT_SECONDS, read_seconds), read_seconds)

        def send() -> requests.Response:
            if not url.isascii():
                return self._session.request(
                    method, url, headers=headers, data=body, timeout=timeout, stream=True, allow_redirects=False
                )
            # What Session.request adds to this (cookies, proxies, redirects, hooks) is not wanted here, and it takes
            # longer than all the rest.
            adapter, prepared = self._session.get_adapter(url), _prepared(method, url, headers, body)
            return adapter.send(prepared, stream=True, timeout=timeout, verify=self._verify, proxies={})

        try:
            return send()
        except requests.ConnectionError as error:
            if not _kept_connection_ended(error):
                raise
            return send()  # all of our requests may be sent twice

    def _problem(self, peer: Peer, answer: Answer) -> PServerError:
        said = self.body(peer, answer, MAX_PROBLEM_BYTES, time.monotonic() + READ_SECONDS)
        code, detail = _code_and_detail(said)
        words = f"{peer.name} answered: {detail or http.client.responses.get(answer.status, answer.status)}"
        return _error_for(answer.status, code, words, answer.header("p2p-bitfield"))

    def _pool(self, url: str) -> HTTPConnectionPool:
        adapter = self._session.get_adapter(url)
        assert isinstance(adapter, requests.adapters.HTTPAdapter)  # as guarded_session mounts them
        found = adapter.get_connection_with_tls_context(_prepared("GET", url, {}, None), self._verify)
        assert isinstance(found, HTTPConnectionPool)
        return found

    @property
    def _verify(self) -> bool | str:
        return True if self._session.verify is None else self._session.verify


def _prepared(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url, prepared.body = method, url, body
    prepared.headers = CaseInsensitiveDict(headers)
    if body is not None or method == "POST":
        prepared.headers["Content-Length"] = str(len(body or b""))
    return prepared


def decode_bitfield(text: str | None) -> bytes | None:
    """The bitfield in a P2P-Bitfield header; None if there is none. ValueError if it cannot be one."""
    if text is None:
        return None
    if len(text) > MAX_BITFIELD_BYTES * 2:
        raise ValueError("the bitfield is too long")
    return base64.b64decode(text, validate=True)


class _our_errors:  # noqa: N801 - reads as the statement that it is
    """Whatever requests, urllib3 and http.client raise inside becomes one of ours."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        # requests' exceptions are OSErrors
        if isinstance(error, OSError | urllib3.exceptions.HTTPError | http.client.HTTPException):
            raise _ours(self._peer, error) from error


our_errors: Callable[[Peer], _our_errors] = _our_errors


def _socket_of(body: object) -> socket.socket | None:
    """The socket below an http.client response (it keeps it to itself)."""
    raw = getattr(getattr(body, "fp", None), "raw", None)
    found = getattr(raw, "_sock", None)
    return found if isinstance(found, socket.socket) else None


def _ours(peer: Peer, error: BaseException) -> PServerError:
    forbidden = forbidden_cause(error)
    if forbidden is not None:
        return Refused(f"{peer.name} is not asked: {forbidden}")
    if isinstance(error, requests.exceptions.SSLError):
        return PeerDead(f"{peer.name} at {peer.url} shows no certificate that is trusted here (see PSERVER_CA_FILE)")
    if isinstance(error, requests.ConnectTimeout):
        return PeerDead(f"{peer.name} at {peer.url} does not answer")
    if _is_timeout(error):
        return PeerStalled(f"{peer.name} sends nothing")
    if isinstance(error, requests.ConnectionError) and not _kept_connection_ended(error):
        return PeerDead(f"{peer.name} at {peer.url} cannot be reached")
    return PeerDead(f"the connection to {peer.name} broke")


def _is_timeout(error: BaseException) -> bool:
    if isinstance(error, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError):
        return True
    return any(isinstance(inner, urllib3.exceptions.ReadTimeoutError | TimeoutError) for inner in error.args)


def _kept_connection_ended(error: requests.ConnectionError) -> bool:
    """Whether the connection had been made and was then closed: a kept one may end as it is being used again."""
    return any(isinstance(inner, urllib3.exceptions.ProtocolError) for inner in error.args)


def _parsed(peer: Peer, body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        raise PeerLied(f"{peer.name} answered something that is not JSON") from None
    return parsed


def _code_and_detail(body: bytes) -> tuple[str, str]:
    """What a problem document says; ("", "") if it is none (waitress refuses some requests in plain text)."""
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(problem, dict):
        return "", ""
    return str(problem.get("code", "")), str(problem.get("detail", ""))[:_MAX_DETAIL_CHARACTERS]


def _error_for(status: int, code: str, words: str, bitfield: str | None) -> PServerError:
    if status == 404 and code == "no-piece":
        try:
            return LacksPiece(words, decode_bitfield(bitfield))
        except (ValueError, binascii.Error):
            return PeerLied("it sent a bitfield that is none")
    if status == 409:
        return Conflict(words, code if code in {"changed", "ambiguous"} else None)
    table: dict[int, type[PServerError]] = {400: InvalidRequest, 401: Refused, 403: Refused, 404: NotFound}
    table |= {410: NotFound, 422: InvalidRequest, 429: PeerBusy, 503: PeerBusy, 507: NoRoom}
    return table.get(status, Unavailable if status >= 500 else PeerLied)(words)
