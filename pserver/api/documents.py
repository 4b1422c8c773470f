"""Documents about a file for tools of others, as HTTP answers: a `.meta4`, a `.torrent`, or that it is being made.

They are put together at each answer: what is kept (the digests) holds no link, and who holds the file may change.
"""

from collections.abc import Callable

from flask import Response

from pserver.api import metalink, torrent
from pserver.api.content import disposition
from pserver.api.web import answer
from pserver.digests import Digests, Making, Offered

_BYTES_A_SECOND = 400_000_000  # about what a core hashes three ways
_MAX_RETRY_SECONDS = 30
_FORMS: dict[str, tuple[Callable[[Offered, Digests, str, str], bytes], str]] = {
    "meta4": (metalink.metalink, metalink.MIMETYPE),
    "torrent": (torrent.torrent, torrent.MIMETYPE),
}
FORMS = frozenset(_FORMS)


def document(form: str, offered: Offered, digests: Digests, token: str, version: str) -> Response:
    """The document of that form (one of FORMS), with that link's token in its URLs."""
    made, mimetype = _FORMS[form]
    body = made(offered, digests, token, f"p2p-file-sharing-suite/{version}")
    headers = {"Content-Disposition": disposition(f"{offered.name}.{form}"), "Cache-Control": "private, no-store"}
    return Response(body, headers=headers, mimetype=mimetype)


def being_made(making: Making) -> Response:
    """The answer while the digests are yet to be made: when to ask again."""
    seconds = 1 + (making.size - making.bytes_done) // _BYTES_A_SECOND
    headers = {"Retry-After": str(min(seconds, _MAX_RETRY_SECONDS))}
    return answer({"bytes_done": making.bytes_done, "size": making.size}, 202, headers)
