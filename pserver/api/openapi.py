"""The finish of the OpenAPI documents: what APIFlask does not write by itself.

APIFlask makes paths, parameters, bodies and answers from the views. Here every error becomes a problem document, the
answers that any request can get are added, and HEAD appears beside a GET of bytes.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

# As APIFlask has the type: status -> what the answer is.
_Response = dict[str, str | dict[str, dict[str, Any]]]
Responses = dict[int | str, _Response]
Operations = Mapping[str, Mapping[str, Mapping[str, Any]]]  # path -> method -> operation, as OpenAPI has them
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. A member beside these tells more, such as the choices of an ambiguous request.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened and what to do."},
        "code": {"type": "string", "description": "Stable; for programs."},
        "choices": {"type": "array", "items": {"type": "object"}},
        "id": {"type": "string", "description": "Of an internal error: to be quoted."},
        "request_id": {"type": "string", "description": "By which the request is found in the logs of all peers."},
    },
    "required": ["type", "title", "status", "detail", "code"],
}
SECURITY: dict[str, Any] = {"Bearer": {"type": "http", "scheme": "bearer"}}
BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
CONTENT_HEADERS = {
    "ETag": "The file id, quoted; strong",
    "Accept-Ranges": "bytes",
    "Content-Disposition": "The file's name",
    "Repr-Digest": "The file's sha-256 (RFC 9530), if this peer computed it itself",
    "Digest": "The same (RFC 3230)",
}
_ANYWHERE = {"413": "The request is too large", "415": "The body is of another type", "500": "Internal error"}
_PROBLEM: dict[str, Any] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
# What the HTTP server refuses before routing is plain text: a request beyond its limits.
_REFUSED_EARLY: dict[str, Any] = {**_PROBLEM, "text/plain": {"schema": {"type": "string"}}}


def complete(spec: dict[str, Any], more: Operations) -> dict[str, Any]:
    """The document as it is served, with these operations beside those that APIFlask found."""
    schemas = spec.setdefault("components", {}).setdefault("schemas", {})
    for made in ("HTTPError", "ValidationError"):
        schemas.pop(made, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    for path, operations in more.items():
        for method, operation in operations.items():
            spec["paths"][path].setdefault(method, {}).update(_as_json(operation))
    for operations in spec["paths"].values():
        for operation in operations.values():
            _complete_operation(operation)
        if "head" not in operations and _gives_bytes(operations.get("get")):
            operations["head"] = _head_of(operations["get"])
    return spec


def errors(statuses: Mapping[int, str], successes: Responses | None = None) -> Responses:
    """For `doc(responses=...)`: what each of these statuses means here, beside the successes."""
    return (successes or {}) | {status: {"description": meaning} for status, meaning in statuses.items()}


def gives_bytes(meaning: str, headers: Mapping[str, str]) -> _Response:
    """For `doc(responses=...)`: an answer of bytes, with these headers."""
    return {"description": meaning, "content": BYTES, "headers": described(headers)}


def gives_json(meaning: str, schema: str) -> _Response:
    """The same for a JSON answer of a schema that another answer of this API has or holds."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": meaning, "content": content}


def gives_headers(meaning: str, headers: Mapping[str, str]) -> _Response:
    """The same for an answer without a body."""
    return {"description": meaning, "headers": described(headers)}


def described(headers: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Header objects of OpenAPI, from names and what they mean."""
    return {name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in headers.items()}


def _complete_operation(operation: dict[str, Any]) -> None:
    answers: dict[str, Any] = operation["responses"]
    for status, meaning in _ANYWHERE.items():
        answers.setdefault(status, {"description": meaning})
    for status, said in answers.items():
        if status >= "400":
            said["content"] = _REFUSED_EARLY if status == "413" else _PROBLEM
        elif not said.get("content"):
            said.pop("content", None)


def _as_json(operation: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which statuses are texts, as everywhere in the document."""
    copy: dict[str, Any] = json.loads(json.dumps(operation))
    return copy


def _gives_bytes(operation: dict[str, Any] | None) -> bool:
    return operation is not None and "206" in operation["responses"]


def _head_of(get: dict[str, Any]) -> dict[str, Any]:
    head = deepcopy(get)
    for only_get in ("206", "416"):  # HEAD knows no ranges
        del head["responses"][only_get]
    for said in head["responses"].values():
        said.pop("content", None)
    return head
