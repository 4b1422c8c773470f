"""What both APIs of a peer have in common: how an application is made, how JSON comes in and goes out.

Rules of this file: bad JSON never reaches a view; every JSON answer says `no-store`; no answer has CORS headers; and
nothing is made from a `Host` header.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from apiflask import APIBlueprint, APIFlask
from flask import Response, request
from werkzeug.routing import PathConverter

from pserver.api.answers import json_bytes
from pserver.api.openapi import PROBLEM_SCHEMA, SECURITY, Operations, complete
from pserver.api.problems import Problem, map_errors
from pserver.api.traffic import watch_traffic

MAX_JSON_BYTES = 512 * 1024  # a lookup of 256 names of full length, escaped
NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class About:
    """The peer whose APIs these are. `peer_id` is 64 hex digits."""

    peer_id: str
    name: str
    version: str


class FileName(PathConverter):
    """A name in a path, slashes and all. What is wrong with it is for protos.names to say, not for the router."""

    regex = r"[\s\S]+"
    part_isolating = False  # it goes beyond a slash


def json_routes(name: str) -> APIBlueprint:
    """A blueprint whose views take JSON or nothing."""
    routes = APIBlueprint(name, __name__, tag=name)
    routes.before_request(refuse_bad_body)
    return routes


def make_app(
    title: str,
    version: str,
    guard: Callable[[], None],
    routes: Iterable[APIBlueprint],
    *,
    statuses: Mapping[type[Exception], int] | None = None,
    more: Operations | None = None,
) -> APIFlask:
    """An application with these routes, its OpenAPI at /openapi.json, and problems for errors.

    `guard` runs before every request, before its body is read, and raises to refuse it (see access.py).
    `statuses`: of errors beside those of the model. `more`: operations for the OpenAPI that APIFlask does not see.
    """
    no_folder: Any = None  # without one there is no route to static files; Flask's type allows None, APIFlask's not
    app = APIFlask(__name__, title, version, docs_path=None, json_errors=False, static_folder=no_folder)
    app.extensions["traffic"] = watch_traffic(app)
    app.before_request(guard)
    app.config.update(_config())
    app.url_map.merge_slashes = False  # else "a//b" is answered with a redirect, made from the Host header
    app.url_map.converters["name"] = FileName
    app.spec_processor(partial(complete, more=more or {}))
    map_errors(app, statuses or {})
    app.after_request(finish)
    for some in routes:
        app.register_blueprint(some)
    return app


def answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json_bytes(value), status, headers, mimetype="application/json")


def refuse_bad_body() -> None:
    """Refuse what the views' parser would stumble over; what it lets pass is JSON or has no place in a view."""
    if request.method in SAFE_METHODS:
        return
    body = request.get_data(cache=True)
    if not body:
        return
    if not request.is_json:
        raise Problem(415, "invalid", "the body must be JSON, with Content-Type: application/json")
    check_json(body)


def check_json(body: bytes) -> None:
    """Raise Problem unless `body` is JSON as RFC 8259 has it, an object, and all its texts are Unicode."""
    try:
        value = json.loads(body.decode(), parse_constant=_refuse_constant)
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        # ValueError is all of: not JSON, not UTF-8, a number of thousands of digits, half of a surrogate pair.
        raise Problem(400, "invalid", f"the body is not valid JSON: {_in_words(error)}") from None
    if not isinstance(value, dict):
        raise Problem(422, "invalid", "the body must be a JSON object")


def finish(response: Response) -> Response:
    """What every answer carries."""
    for name, value in NO_SNIFFING.items():
        response.headers.setdefault(name, value)
    if response.is_json:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _in_words(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _config() -> dict[str, Any]:
    """Flask's and APIFlask's settings."""
    return {
        "MAX_CONTENT_LENGTH": MAX_JSON_BYTES,
        "SECURITY_SCHEMES": SECURITY,
        "AUTO_SERVERS": False,  # it would take the server's URL from the Host header
        "AUTO_404_RESPONSE": False,
        "HTTP_ERROR_SCHEMA": PROBLEM_SCHEMA,
        "VALIDATION_ERROR_SCHEMA": PROBLEM_SCHEMA,
    }
