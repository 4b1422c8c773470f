"""Errors as other programs see them: RFC 9457 `application/problem+json` with a stable `code`.

One table says which status each error of the model has. What is not in it is a failure of ours: logged with its
traceback, and shown only as an id to quote.
"""

import logging
import secrets
from collections.abc import Mapping
from functools import partial

from apiflask import HTTPError
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES

from protos.links import hide
from protos.logs import request_id
from protos.names import InvalidName
from protos.tokens import InvalidToken
from pserver.api.answers import choices_to_json, json_bytes
from pserver.model import (
    Conflict,
    InvalidRequest,
    LoginNeeded,
    NoRoom,
    NotFound,
    PServerError,
    Refused,
    Replaced,
    SlowDown,
    TooMany,
    Unavailable,
)

LOG = logging.getLogger(__name__)
MIMETYPE = "application/problem+json"
STATUSES: dict[type[Exception], int] = {
    InvalidRequest: 400,
    InvalidName: 422,
    InvalidToken: 401,
    LoginNeeded: 401,
    Refused: 403,
    NotFound: 404,
    Conflict: 409,
    TooMany: 429,
    Unavailable: 503,
    Replaced: 503,
    NoRoom: 507,
}
# The codes of what the framework refuses before a rule of ours has seen it.
_CODES = {401: "refused", 404: "not-found", 405: "no-method", 413: "too-large", 503: "unavailable"}
_HEADERS = {401: {"WWW-Authenticate": 'Bearer realm="pserver"'}, 429: {"Retry-After": "5"}, 503: {"Retry-After": "2"}}
_DETAILS = {404: "there is nothing at this address", 405: "this method cannot be used here"}


class Problem(Exception):
    """Something that only HTTP knows is wrong with a request: the status, the code and the message to answer."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self.more = more


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: object) -> Response:
    """The answer that tells of a problem; `more` are members beside the standard ones."""
    body = {
        "type": "about:blank",
        "title": HTTP_STATUS_CODES.get(status, "Checksum Mismatch" if status == 460 else "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        **({"request_id": request_id()} if request_id() else {}),
        **more,
    }
    return Response(json_bytes(body), status, headers, mimetype=MIMETYPE)


def map_errors(app: Flask, statuses: Mapping[type[Exception], int]) -> None:
    """Let `app` answer every error as a problem; `statuses` are of errors beside those of the model."""
    app.register_error_handler(Exception, _of_failure)
    app.register_error_handler(HTTPException, _of_framework)
    app.register_error_handler(HTTPError, _of_validation)
    app.register_error_handler(Problem, _of_problem)
    for error, status in {**STATUSES, **statuses}.items():
        app.register_error_handler(error, partial(_of_known, status))


def _of_known(status: int, error: Exception) -> Response:
    code = error.code if isinstance(error, PServerError) else _CODES.get(status, "invalid")
    choices = getattr(error, "choices", None)
    more = {} if choices is None else {"choices": choices_to_json(choices)}
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, SlowDown) else _HEADERS.get(status, {})
    return problem(status, code, str(error) or type(error).__doc__ or "", headers, **more)


def _of_problem(error: Problem) -> Response:
    return problem(error.status, error.code, str(error), error.headers, **error.more)


def _of_validation(error: HTTPError) -> Response:
    """APIFlask's own error: its detail is {place: {field: [what is wrong]}}, nested as the body is."""
    return problem(error.status_code, _CODES.get(error.status_code, "invalid"), "; ".join(_sentences(error.detail)))


def _of_framework(error: HTTPException) -> Response:
    status = error.code or 500
    headers = {name: value for name, value in error.get_headers() if name.lower() in {"allow", "retry-after"}}
    detail = _DETAILS.get(status) or error.description or ""
    return problem(status, _CODES.get(status, "invalid" if status < 500 else "internal"), detail, headers)


def _of_failure(error: Exception) -> Response:
    number = secrets.token_hex(4)
    LOG.error("internal error %s: %s %s", number, request.method, hide(request.path), exc_info=error)
    return problem(500, "internal", f"internal error, quote {number}", id=number)


def _sentences(found: object, place: str = "") -> list[str]:
    """Marshmallow's nested messages as sentences, each with the field it is about."""
    if isinstance(found, Mapping):
        inner = ((place if key in {"json", "query", "_schema"} else f"{place}.{key}") for key in found)
        return [text for key, where in zip(found, inner, strict=True) for text in _sentences(found[key], where)]
    if isinstance(found, list | tuple):
        return [text for one in found for text in _sentences(one, place)]
    return [f"{place.lstrip('.') or 'the request'}: {found}"]
