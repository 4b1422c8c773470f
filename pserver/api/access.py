"""Who may ask: one guard an API, run before every request.

Both deny by default. A route is reachable only if a guard knows it: by the scope that its token must have or by
the link in its path (peer API), or by the person's token (client API); what is public is listed by name.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping

from flask import Request, g, request

from protos.links import Link, LinkVerifier
from protos.tokens import Claims, InvalidToken, Verifier
from pserver.api.problems import Problem
from pserver.api.verbs import PeopleVerbs
from pserver.api.web import SAFE_METHODS
from pserver.model import LoginNeeded
from pserver.people import OWNER, Caller, is_session

Guard = Callable[[], None]
OPENAPI = "openapi.spec"  # the endpoint that APIFlask gives /openapi.json


def peer_guard(
    verifier: Verifier,
    scopes: Mapping[str, str],
    public: frozenset[str],
    now: Callable[[], float],
    *,
    links: LinkVerifier,
    linked: frozenset[str],
) -> Guard:
    """The guard of the peer API. `scopes`: which scope each endpoint's token must have; `now` gives Unix time.

    A route with a file_id in its path needs a token for that file. What the token says is `asker()`. The endpoints in
    `linked` are opened by the link in their path and by nothing else; what it says is `linked()`.
    """

    def guard() -> None:
        endpoint = request.endpoint
        if endpoint is None or endpoint in public:  # None: no such route, which the router says itself
            return
        if endpoint in linked:
            g.link = links.check(str((request.view_args or {}).get("link", "")), now())
            return
        scope = scopes.get(endpoint)
        if scope is None:
            raise InvalidToken("no token opens this")
        file_id = (request.view_args or {}).get("file_id")
        g.claims = verifier.check(_bearer(request), scope, now(), file_id)

    return guard


def asker() -> str:
    """The peer id (hex) that sent this request, as its checked token says."""
    claims: Claims = g.claims
    return claims.issuer


def linked() -> Link:
    """The link that this request shows, checked."""
    link: Link = g.link
    return link


def client_guard(token: str, people: PeopleVerbs, hosts: Iterable[str], public: frozenset[str]) -> Guard:
    """The guard of the client API: Host, then Origin, then the person: a session, or the client token.

    Who it is says `caller()`. While accounts are in force only a session will do, else the client token will.
    `hosts`: the values of Host that are meant for this listener, "127.0.0.1:8101". A page from elsewhere that a
    browser on this machine shows can send requests here, but neither with such a Host (after DNS rebinding) nor
    with such an Origin, nor does it know the token.
    """
    allowed = frozenset(host.lower() for host in hosts)
    origins = frozenset(f"{scheme}://{host}" for scheme in ("http", "https") for host in allowed)
    expected = token.encode()

    def guard() -> None:
        _check_host(request, allowed)
        _check_origin(request, origins)
        if request.endpoint is None or request.endpoint in public:
            return
        shown = _bearer(request, people)
        person = people.whose(shown) if is_session(shown) else None
        if person is not None:
            g.caller = Caller(person, shown)
        elif people.in_force():
            raise LoginNeeded
        elif hmac.compare_digest(shown.encode(), expected):
            g.caller = Caller(OWNER)
        else:
            raise InvalidToken("the client token is not the one of this PServer")

    return guard


def caller() -> Caller:
    """Who sent this request to the client API."""
    found: Caller = g.caller
    return found


def _bearer(asked: Request, people: PeopleVerbs | None = None) -> str:
    """What the request shows. InvalidToken if it shows nothing; LoginNeeded where people are to log in."""
    kind, _, token = asked.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        if people is not None and people.in_force():
            raise LoginNeeded
        raise InvalidToken("the request needs a token: Authorization: Bearer TOKEN")
    return token.strip()


def _check_host(asked: Request, allowed: frozenset[str]) -> None:
    if asked.environ.get("HTTP_HOST", "").lower() not in allowed:
        raise Problem(421, "misdirected", "the Host of this request is not one of this PServer's client API")


def _check_origin(asked: Request, origins: frozenset[str]) -> None:
    if asked.method in SAFE_METHODS:
        return
    origin = asked.headers.get("Origin")
    if origin is not None and origin.lower() not in origins:
        raise Problem(403, "refused", "a page of another origin may not do this")
    if asked.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        raise Problem(403, "refused", "a page of another site may not do this")
