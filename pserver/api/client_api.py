"""The client API: what a peer offers to its own person, on loopback by default. It translates and nothing else.

Uploads into the own share (tus) are in tus_api.py and served here too.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from apiflask import APIFlask
from flask import Response, current_app, url_for

from protos.names import check_name
from pserver.api import account_api, schemas_in, schemas_out
from pserver.api.access import OPENAPI, caller, client_guard
from pserver.api.answers import (
    dropped_to_json,
    files_page_to_json,
    findings_to_json,
    groups_page_to_json,
    groups_to_json,
    link_to_json,
    peer_files_page_to_json,
    peers_page_to_json,
    status_to_json,
    transfer_line_to_json,
    transfer_to_json,
)
from pserver.api.content import send
from pserver.api.documents import FORMS, being_made, document
from pserver.api.openapi import CONTENT_HEADERS, errors, gives_bytes, gives_headers, gives_json
from pserver.api.tus import TusUploads
from pserver.api.tus_api import TUS_OPERATIONS, TUS_STATUSES, tus_routes
from pserver.api.verbs import ClientVerbs, PeopleVerbs
from pserver.api.web import About, answer, json_routes, make_app
from pserver.digests import Making
from pserver.findings import Finding
from pserver.model import NotFound
from pserver.remote.lookup_json import entry_to_json
from pserver.views import TransferView

Examine = Callable[[], Sequence[Finding]]
PUBLIC = frozenset({"client.healthz", OPENAPI}) | account_api.PUBLIC
_DENIED = {
    401: "Not this PServer's client token; where accounts are on: no session, or it has ended (login_required)",
    403: "A page of another origin asked",
    421: "Another Host was meant",
    503: "No locator answers, which is to say whose session it is",
}
_LOOKED_UP = {**_DENIED, 503: "Nobody could be asked"}
_LOCATOR = {429: "Too much is asked of the locator (slow_down)", 503: "No locator answers"}
_AMBIGUOUS = "It fits several (ambiguous): `choices` lists them"

routes = json_routes("client")


def client_app(
    node: ClientVerbs,
    uploads: TusUploads,
    people: PeopleVerbs,
    *,
    about: About,
    token: str,
    hosts: Iterable[str],
    now: Callable[[], float],
    examine: Examine,
) -> APIFlask:
    """The client API as a WSGI application.

    `token`: what the person's client proves itself with where there are no accounts. `hosts`: the values of Host meant
    for this listener, such as "127.0.0.1:8101". `now` gives Unix time. `examine`: what `pclient doctor` shows.
    """
    guard = client_guard(token, people, hosts, PUBLIC)
    parts = [routes, account_api.routes, tus_routes]
    app = make_app("Client API", about.version, guard, parts, statuses=TUS_STATUSES, more=TUS_OPERATIONS)
    app.extensions.update(node=node, uploads=uploads, people=people, now=now, about=about, examine=examine)
    return app


@routes.get("/healthz")
@routes.output(schemas_out.Healthy, description="The PServer runs")
@routes.doc(responses=errors({421: "Another Host was meant"}))
def healthz() -> Response:
    """Whether the PServer runs. Needs no token."""
    return answer({"status": "ok"})


@routes.get("/client/v1/status")
@routes.output(schemas_out.Status)
@routes.doc(security="Bearer", responses=errors(_DENIED))
def status() -> Response:
    """How this peer is doing."""
    return answer(status_to_json(_node().status()))


@routes.get("/client/v1/doctor")
@routes.output(schemas_out.Doctor)
@routes.doc(security="Bearer", responses=errors(_DENIED))
def doctor() -> Response:
    """Examine this peer: what works, what does not, and what to do about it."""
    examine = cast(Examine, current_app.extensions["examine"])
    return answer(findings_to_json(examine()))


@routes.get("/client/v1/search")
@routes.input(schemas_in.SearchQuery, location="query", arg_name="query")
@routes.output(schemas_out.FoundPage)
@routes.doc(security="Bearer", responses=errors({**_LOOKED_UP, 400: "The page token is not of this search"}))
def search(query: dict[str, Any]) -> Response:
    """The files whose names match all words."""
    return answer(groups_page_to_json(_node().search(query["words"], query["page_size"], query["page_token"])))


@routes.get("/client/v1/lookup")
@routes.input(schemas_in.WhatQuery, location="query", arg_name="query")
@routes.output(schemas_out.Found)
@routes.doc(security="Bearer", responses=errors({**_LOOKED_UP, 400: "It is neither a name nor an id",
            404: "Nobody who was asked has it"}))  # fmt: skip
def lookup(query: dict[str, Any]) -> Response:
    """Who has the file of this name or id."""
    return answer(groups_to_json(_node().lookup(query["what"])))


@routes.get("/client/v1/peers")
@routes.input(schemas_in.PeersQuery, location="query", arg_name="query")
@routes.output(schemas_out.PeersPage)
@routes.doc(security="Bearer", responses=errors({**_LOOKED_UP, 400: "The folder or page token is malformed"}))
def peers(query: dict[str, Any]) -> Response:
    """The peers of the network; with `folder`, those that share something below it."""
    return answer(peers_page_to_json(_node().peers(query["match"], query["folder"], query["page_token"])))


@routes.get("/client/v1/peers/<name:peer>/files")
@routes.input(schemas_in.FilesQuery, location="query", arg_name="query")
@routes.output(schemas_out.PeerFilesPage)
@routes.doc(security="Bearer", responses=errors({**_LOOKED_UP, 400: "The page token is malformed",
            404: "No such peer", 409: _AMBIGUOUS}))  # fmt: skip
def peer_files(peer: str, query: dict[str, Any]) -> Response:
    """The files of another peer, by its name or id."""
    found = _node().peer_files(peer, query["prefix"], query["page_size"], query["page_token"])
    return answer(peer_files_page_to_json(found))


@routes.get("/client/v1/files")
@routes.input(schemas_in.FilesQuery, location="query", arg_name="query")
@routes.output(schemas_out.FilesPage)
@routes.doc(security="Bearer", responses=errors({**_DENIED, 400: "The page token is malformed"}))
def files(query: dict[str, Any]) -> Response:
    """The files of the own share."""
    return answer(files_page_to_json(*_node().files(query["prefix"], query["page_size"], query["page_token"])))


@routes.get("/client/v1/files/<name:name>")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 404: "No such file in the share",
            409: "It is being indexed (hashing)", 422: "The name cannot be one"}, {
    200: gives_json("The file", "FileEntry"),  # not by output(): APIFlask would name the schema a second time
}))  # fmt: skip
def file(name: str) -> Response:
    """One file of the own share."""
    return answer(entry_to_json(_node().file(check_name(name))))


@routes.delete("/client/v1/files/<name:name>")
@routes.input(schemas_in.RemoveQuery, location="query", arg_name="query")
@routes.output(schemas_out.Removed, description="With `everywhere`: it is gone, and others are ordered to drop theirs")
@routes.doc(security="Bearer", responses=errors({**_DENIED, **_LOCATOR, 409: "It is in a state that forbids it",
            404: "No such file in the share, or no accounts (no_accounts)", 422: "The name cannot be one"}, {
    204: {"description": "It is gone"},
}))  # fmt: skip
def remove(name: str, query: dict[str, Any]) -> Response:
    """Remove the own copy of a file; with `everywhere` also the copies that the person's uploads placed."""
    if not query["everywhere"]:
        _node().remove(check_name(name))
        return Response(status=204)
    dropped = _node().remove_everywhere(check_name(name), caller().session)
    return answer({"removed": dropped.removed, **dropped_to_json(dropped)})


@routes.post("/client/v1/drops")
@routes.input(schemas_in.DropIn, arg_name="body")
@routes.output(schemas_out.Dropped, description="These peers are ordered to drop it")
@routes.doc(security="Bearer", responses=errors({**_DENIED, **_LOCATOR, 400: "No JSON, or neither a name nor an id",
            404: "No such file, or no accounts (no_accounts)", 409: _AMBIGUOUS}))  # fmt: skip
def drops(body: dict[str, Any]) -> Response:
    """Have the copies dropped that the person's uploads placed; the own copy stays."""
    return answer(dropped_to_json(_node().drop(body["what"], caller().session)))


@routes.get("/client/v1/content/<name:name>")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 404: "No such file in the share",
            409: "It is being indexed (hashing), or has changed", 412: "If-Match names another file",
            416: "The range is beyond the file", 422: "The name cannot be one"}, {
    200: gives_bytes("The whole file", CONTENT_HEADERS),
    206: gives_bytes("The range asked for", {"Content-Range": "Which bytes", **CONTENT_HEADERS}),
    304: {"description": "If-None-Match names this file"},
}))  # fmt: skip
def content(name: str) -> Response:
    """The bytes of a file of the own share, or one range of them."""
    return send(_node().open_content(check_name(name)))


@routes.post("/client/v1/downloads")
@routes.input(schemas_in.DownloadIn, arg_name="body")
@routes.output(schemas_out.Transfer, status_code=202, description="It has begun", headers=schemas_out.Placed)
@routes.doc(security="Bearer", responses=errors({**_LOOKED_UP, 400: "No JSON, or `what` is neither name nor id",
            404: "Nobody who was asked has it", 409: _AMBIGUOUS, 507: "There is no room"}, {
    200: gives_json("It is here already", "Transfer"),
}))  # fmt: skip
def downloads(body: dict[str, Any]) -> Response:
    """Begin to download a file, or one peer's folder, into the own share."""
    begun = _node().start_download(body["what"], body["as_name"], body["from_peer"], body["choose"])
    return _begun(begun, 200 if begun.state == "done" else 202)


@routes.post("/client/v1/uploads")
@routes.input(schemas_in.UploadIn, arg_name="body")
@routes.output(schemas_out.Transfer, status_code=202, description="It has begun", headers=schemas_out.Placed)
@routes.doc(security="Bearer", responses=errors({**_LOOKED_UP, 400: "The body is not JSON",
            404: "No such file in the share, or no such peer", 409: _AMBIGUOUS,
            503: "No peer is willing, or nobody could be asked"}))  # fmt: skip
def uploads(body: dict[str, Any]) -> Response:
    """Begin to make other peers hold a file of the own share."""
    begun = _node().start_upload(body["name"], tuple(body["to"]), body["replicas"], caller().session)
    return _begun(begun, 202)


@routes.post("/client/v1/links")
@routes.input(schemas_in.LinkIn, arg_name="body")
@routes.output(schemas_out.Link, description="The link, at each holder")
@routes.doc(security="Bearer", responses=errors({**_LOOKED_UP, 400: "No JSON, or `what` is neither name nor id",
            404: "Nobody who was asked has it", 409: _AMBIGUOUS}))  # fmt: skip
def links(body: dict[str, Any]) -> Response:
    """A link to a file that any tool can fetch without being a member, from any holder, until it ends."""
    return answer(link_to_json(_node().link(body["what"], body["expires_seconds"], body["choose"])))


@routes.get("/client/v1/links/<file_id>/<form>")
@routes.input(schemas_in.LinkedQuery, location="query", arg_name="query")
@routes.output(schemas_out.Making, status_code=202, description="It is being made: ask again")
@routes.doc(security="Bearer", responses=errors({**_LOOKED_UP, 400: "The file id is malformed",
            404: "Nobody who was asked has it, or there is no such form", 409: "The file changed on disk"}, {
    200: {"description": "The document, with a link to each holder in it",
          "content": {"application/metalink4+xml": {}, "application/x-bittorrent": {}}},
    202: gives_headers("It is being made: ask again", {"Retry-After": "Seconds after which to ask again"}),
}))  # fmt: skip
def linked(file_id: str, form: str, query: dict[str, Any]) -> Response:
    """A document about a file for other tools: `form` is meta4 (Metalink) or torrent."""
    if form not in FORMS:
        raise NotFound("there is no such form of a link: meta4 and torrent are")
    link = _node().link(f"id:{file_id}", query["expires_seconds"], None)
    digests = _node().find_digests(link.offered.file_id)
    if isinstance(digests, Making):
        return being_made(digests)
    about = cast(About, current_app.extensions["about"])
    return document(form, link.offered, digests, link.token, about.version)


@routes.get("/client/v1/transfers")
@routes.output(schemas_out.Transfers)
@routes.doc(security="Bearer", responses=errors(_DENIED))
def transfers() -> Response:
    """The transfers, newest first: all that live and the last 100 that ended."""
    return answer({"transfers": [transfer_line_to_json(one) for one in _node().transfers()]})


@routes.get("/client/v1/transfers/<transfer_id>")
@routes.input(schemas_in.TransferQuery, location="query", arg_name="query")
@routes.output(schemas_out.Transfer)
@routes.doc(security="Bearer", responses=errors({**_DENIED, 404: "No such transfer"}))
def transfer(transfer_id: str, query: dict[str, Any]) -> Response:
    """One transfer, with 100 of its files: from the one with that number."""
    return answer(transfer_to_json(_node().transfer(transfer_id, query["items_from"])))


@routes.delete("/client/v1/transfers/<transfer_id>")
@routes.output({}, status_code=204, description="It is gone")
@routes.doc(security="Bearer", responses=errors({**_DENIED, 404: "No such transfer"}))
def cancel(transfer_id: str) -> Response:
    """Cancel a live transfer, or forget one that ended."""
    _node().cancel(transfer_id)
    return Response(status=204)


@routes.post("/client/v1/transfers/<transfer_id>/pause")
@routes.output(schemas_out.Transfer)
@routes.doc(security="Bearer", responses=errors({**_DENIED, 404: "No such transfer", 409: "It cannot be paused now"}))
def pause(transfer_id: str) -> Response:
    """Halt a transfer until it is resumed."""
    return answer(transfer_to_json(_node().pause(transfer_id)))


@routes.post("/client/v1/transfers/<transfer_id>/resume")
@routes.output(schemas_out.Transfer)
@routes.doc(security="Bearer", responses=errors({**_DENIED, 404: "No such transfer", 409: "It cannot be resumed now"}))
def resume(transfer_id: str) -> Response:
    """Let a paused or failed transfer go on."""
    return answer(transfer_to_json(_node().resume(transfer_id, caller().session)))


def _node() -> ClientVerbs:
    return cast(ClientVerbs, current_app.extensions["node"])


def _begun(begun: TransferView, status: int) -> Response:
    where = {"Location": url_for("client.transfer", transfer_id=begun.id)}
    return answer(transfer_to_json(begun), status, where)
