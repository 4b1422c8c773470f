"""The peer API: what a peer offers to the other members of its network. It translates and nothing else.

`SCOPES` is the whole list of what a token opens, `LINKED` of what a link does (link_api.py); a route that is in
neither is closed (see access.py).
"""

from collections.abc import Callable
from typing import Any, cast

from apiflask import APIFlask
from flask import Response, current_app

from protos.links import LinkVerifier
from protos.tokens import Verifier
from pserver.api import schemas_in, schemas_out
from pserver.api.access import OPENAPI, asker, peer_guard
from pserver.api.answers import offer_to_json
from pserver.api.content import BYTES_MIMETYPE, bitfield_header, send, send_parts, send_pieces, wanted
from pserver.api.documents import being_made
from pserver.api.link_api import LINKED
from pserver.api.link_api import routes as link_routes
from pserver.api.openapi import CONTENT_HEADERS, errors, gives_bytes, gives_headers, gives_json
from pserver.api.short_way import ShortWay
from pserver.api.traffic import traffic_of
from pserver.api.verbs import PeerVerbs
from pserver.api.web import About, answer, json_routes, make_app
from pserver.digests import Making
from pserver.model import InvalidRequest, Offer, Peer
from pserver.remote.bundle_frames import MAX_BUNDLE_BYTES, checked_ids, frames_of
from pserver.remote.lookup_json import answer_to_json, request_from_json
from pserver.remote.swarm_messages import bitfield_from_text, news_to_json

SCOPES = {
    "peer.ping": "ping",
    "peer.lookups": "lookup",
    "peer.manifest": "file",
    "peer.file": "file",
    "peer.swarm": "file",
    "peer.digests": "file",
    "peer.bundles": "bundle",
    "peer.offers": "offer",
    "peer.offer": "offer",
    "peer.withdraw": "offer",
}
PUBLIC = frozenset({"peer.healthz", "peer.readyz", OPENAPI})
_BITFIELD = {"P2P-Bitfield": "BASE64: which pieces are there (bit 7 of byte 0 is piece 0); absent when all are"}
_DENIED = {401: "No valid token of this network with this scope and file"}

routes = json_routes("peer")


def peer_app(
    node: PeerVerbs, about: About, verifier: Verifier, links: LinkVerifier, now: Callable[[], float]
) -> APIFlask:
    """The peer API as a WSGI application.

    `verifier`: for tokens meant for this peer; `links`: for links of its network; `now` gives Unix time.
    """
    guard = peer_guard(verifier, SCOPES, PUBLIC, now, links=links, linked=LINKED)
    app = make_app("Peer API", about.version, guard, [routes, link_routes])
    app.extensions.update(node=node, about=about)
    # Flask's way to put something before an application. Its type says that this is a method, so it cannot be assigned.
    vars(app)["wsgi_app"] = ShortWay(app.wsgi_app, node, verifier, now, traffic_of(app))
    return app


@routes.get("/healthz")
@routes.output(schemas_out.Healthy, description="The peer runs")
def healthz() -> Response:
    """Whether the peer runs, and which it is. Needs no token."""
    return answer({"status": "ok", "peer_id": _about().peer_id})


@routes.get("/readyz")
@routes.output(schemas_out.Readiness, description="A locator answers it (or it has none), and its index is whole")
@routes.doc(responses=errors({}, {503: gives_json("Not yet, or not now: `not_ready` says why", "Readiness")}))
def readyz() -> Response:
    """Whether the peer has all that it needs to serve others: for load balancers and rollouts. Needs no token."""
    missing = _node().not_ready()
    return answer({"status": "not ready" if missing else "ready", "not_ready": missing}, 503 if missing else 200)


@routes.get("/peer/v1/ping")
@routes.input(schemas_in.PingQuery, location="query", arg_name="query")
@routes.output(schemas_out.Pong, description="The peer, and a token of its own that answers the nonce")
@routes.doc(security="Bearer", responses=errors(_DENIED))
def ping(query: dict[str, Any]) -> Response:
    """Prove that this peer has the key of its id."""
    about = _about()
    proof = _node().ping(query["nonce"], asker())
    return answer({"peer_id": about.peer_id, "name": about.name, "version": about.version, "proof": proof})


@routes.post("/peer/v1/lookups")
@routes.input(schemas_in.Lookup, arg_name="body", validation=False)
@routes.output(schemas_out.LookupAnswer, description="What is known; `complete` says whether a locator was asked")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 400: "A field is wrong: the message names it",
            503: "Too many lookups at once"}))  # fmt: skip
def lookups(body: object) -> Response:
    """Look up names, ids, words, peers or the files of a peer for another peer."""
    return answer(answer_to_json(_node().relay(request_from_json(body), asker())))


@routes.get("/peer/v1/manifests/<file_id>")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 400: "The file id is malformed",
            404: "This peer has nothing of that file"}, {
    200: gives_bytes("The encoded manifest", _BITFIELD),
}))  # fmt: skip
def manifest(file_id: str) -> Response:
    """The manifest of a file, which proves itself, and which pieces of it are here."""
    encoded, bitfield = _node().manifest(_id_bytes(file_id))
    return Response(encoded, headers=bitfield_header(bitfield), mimetype=BYTES_MIMETYPE)


@routes.get("/peer/v1/files/<file_id>")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 400: "The file id is malformed",
            404: "This peer has nothing of that file (not-found), or lacks a piece of the range (no-piece)",
            409: "The file changed on disk", 412: "If-Match names another file",
            416: "The range is beyond the file", 503: "Too many are being sent pieces of it"}, {
    200: gives_bytes("The whole file", {**CONTENT_HEADERS, **_BITFIELD}),
    206: gives_bytes("The range asked for", {"Content-Range": "Which bytes", **CONTENT_HEADERS, **_BITFIELD}),
    304: {"description": "If-None-Match names this file"},
}))  # fmt: skip
def file(file_id: str) -> Response:
    """The bytes of a file, or one range of them. With P2P-Want: one piece of those that it names, chosen here."""
    want = wanted()
    if want is None:
        return send(_node().open_file(_id_bytes(file_id)))
    return send_pieces(*_node().open_piece(_id_bytes(file_id), want, asker()))


@routes.post("/peer/v1/swarms/<file_id>")
@routes.input(schemas_in.SwarmIn, arg_name="body")
@routes.output(schemas_out.Swarm, description="The pieces that are here, and who else fetches the file from this peer")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 400: "The file id is malformed",
            404: "This peer has nothing of that file"}))  # fmt: skip
def swarm(file_id: str, body: dict[str, Any]) -> Response:
    """Tell that the asking peer fetches this file, and hear who else does."""
    peer = Peer(asker(), body["name"], body["url"])
    news = _node().swarm(_id_bytes(file_id), peer, bitfield_from_text(body["bitfield"]))
    return answer(news_to_json(news))


@routes.post("/peer/v1/bundles")
@routes.input(schemas_in.Bundle, arg_name="body", validation=False)
@routes.doc(security="Bearer", responses=errors({**_DENIED, 400: "The list of file ids is malformed or too long",
            503: "The share is away"}, {
    200: gives_bytes("A frame for each id, in that order: its state, its manifest and its bytes", {}),
}))  # fmt: skip
def bundles(body: object) -> Response:
    """Many small files (of one piece at most) in one answer; each proves itself."""
    file_ids = body.get("file_ids") if isinstance(body, dict) else None  # a POST without a body has none
    files = _node().bundle(checked_ids(file_ids), MAX_BUNDLE_BYTES)
    return send_parts("bundle", list(frames_of(files)))


@routes.get("/peer/v1/digests/<file_id>")
@routes.output(schemas_out.Making, status_code=202, description="They are being made: ask again")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 400: "The file id is malformed",
            404: "This peer has nothing of that file", 409: "The file changed on disk",
            503: "They cannot be made now"}, {
    200: gives_bytes("The encoded digests: SHA-1 and SHA-256 of the file's pieces", {}),
    202: gives_headers("They are being made: ask again", {"Retry-After": "Seconds after which to ask again"}),
}))  # fmt: skip
def digests(file_id: str) -> Response:
    """What other tools know a file by, for a peer that makes a document about it. Made when somebody asks."""
    made = _node().own_digests(_id_bytes(file_id))
    return being_made(made) if isinstance(made, Making) else Response(made.encode(), mimetype=BYTES_MIMETYPE)


@routes.post("/peer/v1/offers")
@routes.input(schemas_in.OfferIn, arg_name="body")
@routes.output(schemas_out.Offer, status_code=202, description="This peer begins to fetch it")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 400: "The body is not JSON",
            403: "This peer takes no uploads, or wants a grant (grant_needed)",
            429: "Too many of the asking peer's are in work", 503: "Not now", 507: "There is no room"}, {
    200: gives_json("This peer holds it already", "Offer"),
}))  # fmt: skip
def offers(body: dict[str, Any]) -> Response:
    """Offer a file to this peer, which then pulls it from whoever holds it."""
    offer = Offer(
        file_id=bytes.fromhex(body["file_id"]),
        size=body["size"],
        name=body["name"],
        sha256=bytes.fromhex(body["sha256"]),
        url=body["url"],
        grant=body["grant"],
    )
    taken = _node().take_offer(offer, asker())
    return answer(offer_to_json(taken), 200 if taken.state == "done" else 202)


@routes.get("/peer/v1/offers/<offer_id>")
@routes.output(schemas_out.Offer, description="How far it is")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 404: "The asking peer made no such offer"}))
def offer(offer_id: str) -> Response:
    """How far the fetching of an offered file is."""
    return answer(offer_to_json(_node().offer_state(offer_id, asker())))


@routes.delete("/peer/v1/offers/<offer_id>")
@routes.output({}, status_code=204, description="This peer no longer fetches it; what it holds it keeps")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 404: "The asking peer made no such offer"}))
def withdraw(offer_id: str) -> Response:
    """Take an offer back."""
    _node().withdraw_offer(offer_id, asker())
    return Response(status=204)


def _node() -> PeerVerbs:
    return cast(PeerVerbs, current_app.extensions["node"])


def _about() -> About:
    return cast(About, current_app.extensions["about"])


def _id_bytes(file_id: str) -> bytes:
    if len(file_id) != 64 or not set(file_id) <= set("0123456789abcdef"):
        raise InvalidRequest("file_id: must be 64 lower-case hex digits")
    return bytes.fromhex(file_id)
