"""What a signed link opens at a peer that holds the file, for curl, browsers and the like. Part of the peer API.

Whatever a path says after the form is for the tool that asks, to name what it saves; the link alone says which file.
"""

from typing import cast

from flask import Response, current_app

from pserver.api import schemas_out
from pserver.api.access import linked
from pserver.api.content import send
from pserver.api.documents import being_made, document
from pserver.api.openapi import CONTENT_HEADERS, errors, gives_bytes, gives_headers
from pserver.api.verbs import PeerVerbs
from pserver.api.web import About, json_routes
from pserver.digests import Making

LINKED = frozenset({"links.file", "links.meta4", "links.torrent"})
_DENIED = {401: "The link is no valid one of this network, or has expired"}
_DOCUMENT = {**_DENIED, 404: "This peer has nothing of that file", 409: "The file changed on disk",
             503: "It cannot be made now"}  # fmt: skip
_LATER = "It is being made: ask again"
_RETRY = gives_headers(_LATER, {"Retry-After": "Seconds after which to ask again"})

routes = json_routes("links")


@routes.get("/peer/v1/links/<link>/file/<name:name>")
@routes.doc(responses=errors({**_DENIED, 404: "This peer has nothing of that file (not-found), or not all (no-piece)",
            409: "The file changed on disk", 412: "If-Match names another file",
            416: "The range is beyond the file"}, {
    200: gives_bytes("The whole file", CONTENT_HEADERS),
    206: gives_bytes("The range asked for", {"Content-Range": "Which bytes", **CONTENT_HEADERS}),
    304: {"description": "If-None-Match names this file"},
}))  # fmt: skip
def file(link: str, name: str) -> Response:
    """The bytes of the file that the link opens, or one range of them."""
    response = send(_node().open_file(bytes.fromhex(linked().file_id)))
    response.headers["Cache-Control"] = "private"  # RFC 6750, section 2.3: a shared cache would outlive the link
    return response


@routes.get("/peer/v1/links/<link>/meta4/<name:name>")
@routes.output(schemas_out.Making, status_code=202, description=_LATER)
@routes.doc(responses=errors(_DOCUMENT, {
    200: {"description": "A Metalink document (RFC 5854)", "content": {"application/metalink4+xml": {}}},
    202: _RETRY,
}))  # fmt: skip
def meta4(link: str, name: str) -> Response:
    """The Metalink document of the file that the link opens, with that link to each holder in it."""
    return _document("meta4", link)


@routes.get("/peer/v1/links/<link>/torrent/<name:name>")
@routes.output(schemas_out.Making, status_code=202, description=_LATER)
@routes.doc(responses=errors(_DOCUMENT, {
    200: {"description": "A torrent (BEP 3, BEP 19)", "content": {"application/x-bittorrent": {}}},
    202: _RETRY,
}))  # fmt: skip
def torrent(link: str, name: str) -> Response:
    """The torrent of the file that the link opens, with that link to each holder as a web seed."""
    return _document("torrent", link)


def _document(form: str, link: str) -> Response:
    file_id = bytes.fromhex(linked().file_id)
    digests = _node().own_digests(file_id)
    if isinstance(digests, Making):
        return being_made(digests)
    return document(form, _node().offered(file_id), digests, link, cast(About, current_app.extensions["about"]).version)


def _node() -> PeerVerbs:
    return cast(PeerVerbs, current_app.extensions["node"])
