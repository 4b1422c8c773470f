"""The short way of the one request that a swarm is made of: a GET of pieces of which the serving peer chooses.

Flask takes longer over it than everything that has to do with the piece. Here only the answer that all is well is
made, as peer_api's `file` would. Whatever else there may be to say, of a missing token or a piece that is not here,
Flask's way says: the request goes there as if this were not. Nothing is decided here that is not decided there.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.wsgi import wrap_file

from protos.tokens import InvalidToken, Verifier
from pserver.api.content import BYTES_MIMETYPE, READ_BYTES, Bounded, chosen_span, pieces_headers
from pserver.api.traffic import Traffic, notes_each
from pserver.api.verbs import OpenedFile, PeerVerbs
from pserver.api.web import NO_SNIFFING
from pserver.model import PServerError
from pserver.remote.swarm_messages import want_from_headers

_PATH = re.compile(r"/peer/v1/files/([0-9a-f]{64})")
_ENDPOINT, _SCOPE = "peer.file", "file"
_BEARER = "bearer "


class ShortWay:
    """A WSGI application around that of Flask. `now` gives Unix time."""

    def __init__(
        self,
        longer: WSGIApplication,
        node: PeerVerbs,
        verifier: Verifier,
        now: Callable[[], float],
        traffic: Traffic,
    ) -> None:
        self._longer = longer
        self._node = node
        self._verifier = verifier
        self._now = now
        self._traffic = traffic

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given = None
        if "HTTP_P2P_WANT" in environ and environ["REQUEST_METHOD"] == "GET" and not notes_each():
            given = self._give(environ)
        if given is None:
            return self._longer(environ, start_response)
        opened, pieces = given
        with ExitStack() as stack:
            stack.callback(opened.file.close)
            span = chosen_span(opened, pieces)
            body = wrap_file(environ, Bounded(opened.file, span), READ_BYTES)  # type: ignore[arg-type]  # it wants an IO
            headers = {**pieces_headers(opened, span), **NO_SNIFFING, "Content-Type": BYTES_MIMETYPE}
            start_response("206 PARTIAL CONTENT", list(headers.items()))
            stack.pop_all()
        self._traffic.answered(_ENDPOINT, 206)
        return body

    def _give(self, environ: WSGIEnvironment) -> tuple[OpenedFile, range] | None:
        """The file, opened, and the pieces to send of it; None: this is for Flask's way."""
        path = _PATH.fullmatch(environ["PATH_INFO"])
        shown = environ.get("HTTP_AUTHORIZATION", "")
        if path is None or shown[: len(_BEARER)].lower() != _BEARER:
            return None
        try:
            claims = self._verifier.check(shown[len(_BEARER) :].strip(), _SCOPE, self._now(), path[1])
            want = want_from_headers(environ["HTTP_P2P_WANT"], environ.get("HTTP_P2P_BITFIELD"))
            opened, pieces = self._node.open_piece(bytes.fromhex(path[1]), want, claims.issuer)
        except (PServerError, InvalidToken):
            return None
        if pieces is None:
            opened.file.close()
            return None
        return opened, pieces
