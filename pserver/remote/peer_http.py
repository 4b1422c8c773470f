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
import time
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy

import requests
import urllib3.exceptions
from requests.structures import CaseInsensitiveDict

from protos.addresses import AddressPolicy, forbidden_cause, guarded_session
from protos.deadlines import due
from protos.logs import REQUEST_ID, request_id
from pserver.model import Conflict, InvalidRequest, NoRoom, NotFound, Peer, PServerError, Refused, Unavailable

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


class PeerHttp:
    """Requests to other peers, on kept connections. Thread-safe. Everything it raises is of the model or above."""

    def __init__(self, policy: AddressPolicy, ca_file: str | None = None) -> None:
        self._session = guarded_session(policy, _CONNECTIONS_A_PEER, ca_file)
        self._session.headers.update(_ALWAYS)
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # peers set no cookies here

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
    ) -> requests.Response:
        """The response, once its headers are here and its status is below 300; whoever gets it closes it.

        `read_seconds`: how long nothing may come, and how long all of the headers may take.
        """
        sent = dict(headers or {})
        if request_id():
            sent[REQUEST_ID] = request_id()
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        encoded = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            encoded = json.dumps(body, ensure_ascii=False).encode()  # names as they are: bodies have a limit
        with _our_errors(peer):
            response = self._send(method, peer.url + path, sent, encoded, read_seconds)
        if response.status_code >= 300:
            with response:
                raise self._problem(peer, response)
        return response

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
        with self.answer(method, peer, path, token, body=body, read_seconds=seconds) as response:
            return _parsed(peer, self.body(peer, response, MAX_JSON_BYTES, ends))

    def body(self, peer: Peer, response: requests.Response, most_bytes: int, ends: float) -> bytes:
        """All of the body, if it has at most `most_bytes` and is here by `ends` (monotonic seconds)."""
        read = bytearray()
        due(response, ends)
        with _our_errors(peer):
            while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
                read += chunk
                if len(read) > most_bytes:
                    raise PeerLied(f"{peer.name} sent more than the {most_bytes} bytes that this can be")
                if time.monotonic() > ends:
                    raise PeerStalled(f"{peer.name} is too slow to answer")
        return bytes(read)

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
            adapter, prepared = self._session.get_adapter(url), requests.PreparedRequest()
            verify = True if self._session.verify is None else self._session.verify
            prepared.method, prepared.url, prepared.body = method, url, body
            prepared.headers = CaseInsensitiveDict({**_ALWAYS, **headers})
            if body is not None or method == "POST":
                prepared.headers["Content-Length"] = str(len(body or b""))
            return adapter.send(prepared, stream=True, timeout=timeout, verify=verify, proxies={})

        try:
            return send()
        except requests.ConnectionError as error:
            if not _kept_connection_ended(error):
                raise
            return send()  # all of our requests may be sent twice

    def _problem(self, peer: Peer, response: requests.Response) -> PServerError:
        said = self.body(peer, response, MAX_PROBLEM_BYTES, time.monotonic() + READ_SECONDS)
        code, detail = _code_and_detail(said)
        words = f"{peer.name} answered: {detail or response.reason or response.status_code}"
        return _error_for(response.status_code, code, words, response.headers.get("P2P-Bitfield"))


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
