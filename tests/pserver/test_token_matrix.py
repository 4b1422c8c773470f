"""Every route of both APIs × every credential that is none: refused, and nothing was asked of the node or written.

The routes are those of the applications themselves: a new one is in these tests as soon as it exists. What may be
public is listed here by its path, so that a route cannot make itself public.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask import url_for
from flask.testing import FlaskClient

from protos.links import make_link
from pserver.api import client_api, peer_api
from tests.pserver.forgeries import forged_links, forged_tokens
from tests.pserver.web_lab import FILE_ID, HOST, NETWORK_KEY, NOW, TOKEN, ClientLab, PeerLab

PUBLIC = {"/healthz", "/readyz", "/openapi.json"}
PUBLIC_OF_PEOPLE = {"login", "signup"}  # the last part of a path of the client API
VALUES = {"file_id": FILE_ID.hex(), "link": "LINK", "name": "a/b", "form": "meta4", "peer": "ann"}
Operation = tuple[str, str, str]  # method, path, endpoint


def operations(app: APIFlask) -> Iterator[Operation]:
    """Every route with every method, its path filled in."""
    for rule in app.url_map.iter_rules():
        values: dict[str, Any] = {name: VALUES.get(name, "0011aabb") for name in rule.arguments}
        with app.test_request_context(base_url=f"http://{HOST}"):
            path = url_for(rule.endpoint, **values)
        for method in sorted(rule.methods or ()):
            yield method, path, rule.endpoint


def asked(app: APIFlask, operation: Operation, credential: str | None) -> int:
    """The status that is answered; with a body, in case that the order of checks is wrong."""
    method, path, _ = operation
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "3", "Upload-Metadata": "filename YQ=="}
    headers |= {} if credential is None else {"Authorization": credential}
    body = None if method in {"GET", "HEAD", "OPTIONS"} else {"what": "a", "file_id": FILE_ID.hex()}
    client = FlaskClient(app)
    with client.open(path, method=method, base_url=f"http://{HOST}", headers=headers, json=body) as answer:
        return int(answer.status_code)


def bearers(tokens: dict[str, str]) -> dict[str, str | None]:
    """As an Authorization header, and what else can stand there."""
    broken = {"none": None, "empty": "", "only the kind": "Bearer", "only the kind and a space": "Bearer "}
    return broken | {"basic": "Basic YTpi", "no ASCII": "Bearer ä"} | {
        what: f"Bearer {token}" for what, token in tokens.items()
    }  # fmt: skip


@pytest.fixture
def peer() -> PeerLab:
    return PeerLab()


@pytest.fixture
def person(tmp_path: Path) -> ClientLab:
    return ClientLab(tmp_path)


def test_no_forged_token_opens_a_route_of_the_peer_api(peer: PeerLab) -> None:
    tried = 0
    for operation in operations(peer.app):
        path, endpoint = operation[1:]
        if path in PUBLIC:
            continue
        scope = peer_api.SCOPES.get(endpoint, "file")
        file_id = FILE_ID.hex() if FILE_ID.hex() in path else None
        for what, bearer in bearers(
            forged_tokens(peer.own.peer_id, scope, file_id, peer.now, NETWORK_KEY)
        ).items():  # fmt: skip
            assert asked(peer.app, operation, bearer) == 401, f"{operation} with {what}"
            tried += 1
    assert peer.node.asked == [] and tried > 500


def test_no_forged_link_opens_anything(peer: PeerLab) -> None:
    tried = 0
    for method, path, endpoint in operations(peer.app):
        if "LINK" in path:
            for what, link in forged_links(FILE_ID.hex(), peer.now, NETWORK_KEY).items():
                status = asked(peer.app, (method, path.replace("LINK", link), endpoint), None)
                assert status in {401, 404}, f"{method} {path} with {what}"  # 404: it was a path, with slashes
                tried += 1
    assert peer.node.asked == [] and tried > 100


def test_the_right_credential_does_open_each_route(peer: PeerLab) -> None:
    """Else the tests above would prove nothing."""
    for method, path, endpoint in operations(peer.app):
        about = FILE_ID if FILE_ID.hex() in path else None
        bearer = peer.auth(peer_api.SCOPES.get(endpoint, ""), about)["Authorization"]
        link = make_link(peer.member, FILE_ID.hex(), peer.now, 60)
        assert asked(peer.app, (method, path.replace("LINK", link), endpoint), bearer) not in {401, 403}, path


def test_what_the_peer_api_leaves_open_is_this(peer: PeerLab) -> None:
    open_to_all = {one[1] for one in operations(peer.app) if asked(peer.app, one, None) != 401}
    assert open_to_all == PUBLIC


def test_no_other_token_opens_a_route_of_the_client_api(person: ClientLab) -> None:
    others = {"prefix": TOKEN[:-1], "longer": TOKEN + "x", "upper": TOKEN.upper(), "spaces": f"{TOKEN} x", "nul": "\0"}
    others |= {"the host": HOST, "none": "none", "null": "null", "undefined": "undefined", "star": "*"}
    forged = forged_tokens("ab" * 32, "client", None, NOW, NETWORK_KEY)
    tried = 0
    for operation in operations(person.app):
        if is_public(operation[1]):
            continue
        for what, bearer in bearers({**forged, **others}).items():
            assert asked(person.app, operation, bearer) == 401, f"{operation} with {what}"
            tried += 1
    assert person.node.asked == [] and tried > 1000
    assert [path.name for path in person.folder.path.iterdir()] == [".p2p-partial"]
    assert not list(person.folder.partial.iterdir())


def test_where_people_log_in_neither_the_client_token_nor_a_made_up_session_opens_a_route(person: ClientLab) -> None:
    person.people.heard(True)
    session = "p2ps_" + "A" * 43
    made_up = {"the client token": TOKEN, "made up": session, "short": session[:-1], "long": session + "A"}
    made_up |= {"another prefix": session.replace("p2ps", "p2px"), "upper": session.upper(), "path": "p2ps_../../x"}
    tried = 0
    for operation in operations(person.app):
        for what, bearer in bearers(made_up).items():
            if not is_public(operation[1]):
                assert asked(person.app, operation, bearer) == 401, f"{operation} with {what}"
                tried += 1
    assert person.node.asked == [] and tried > 200


def test_the_client_token_does_open_each_route(person: ClientLab) -> None:
    for operation in operations(person.app):
        if not is_public(operation[1]):
            assert asked(person.app, operation, f"Bearer {TOKEN}") not in {401, 421}, operation


def test_what_the_client_api_leaves_open_is_this(person: ClientLab) -> None:
    for endpoint in client_api.PUBLIC:
        rules = [rule.rule for rule in person.app.url_map.iter_rules(endpoint)]
        assert rules and all(is_public(rule) for rule in rules)


def is_public(path: str) -> bool:
    return path in PUBLIC or (path.startswith("/client/v1/") and path.rpartition("/")[2] in PUBLIC_OF_PEOPLE)
