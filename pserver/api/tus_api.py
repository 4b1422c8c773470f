"""tus 1.0.0 over HTTP: creation, termination, checksum and expiration. It translates and nothing else.

The rules are in tus.py. A PATCH is at most MAX_PATCH_BYTES, since its body lies in memory before it is checked.
"""

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote

from apiflask import APIBlueprint, Schema
from flask import Response, current_app, request, url_for
from marshmallow.fields import String
from marshmallow.validate import Length, Regexp
from werkzeug.http import http_date

from pserver.api.openapi import errors, gives_headers
from pserver.api.problems import Problem
from pserver.api.tus import (
    Locked,
    TooLarge,
    TusUploads,
    UploadView,
    WrongChecksum,
)
from pserver.api.tus_headers import CHECKSUMS, parse_checksum, parse_metadata
from pserver.model import InvalidRequest
from pserver.pieces import MAX_FILE_BYTES

VERSION = "1.0.0"
MAX_PATCH_BYTES = 8 * 1024 * 1024
PATCH_MIMETYPE = "application/offset+octet-stream"
PREFIX = "/client/v1/tus"
OPTIONS_HEADERS = {
    "Tus-Version": VERSION,
    "Tus-Extension": "creation,termination,checksum,expiration",
    "Tus-Max-Size": str(MAX_FILE_BYTES),
    "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
}
TUS_STATUSES: dict[type[Exception], int] = {TooLarge: 413, Locked: 423, WrongChecksum: 460}
_DENIED = {
    401: "Not this PServer's client token; where accounts are on: no session, or it has ended (login_required)",
    403: "A page of another origin asked",
    421: "Another Host was meant",
    503: "No locator answers, which is to say whose session it is",
}
_ASKED = {**_DENIED, 412: "Tus-Resumable is missing or of another version"}
_TOLD = {
    "Tus-Resumable": VERSION,
    "Upload-Offset": "How many bytes have come",
    "Upload-Expires": "When the upload will be forgotten",
    "P2P-Name": "Percent-encoded: the name that the finished file got in the share",
}
_LENGTHS = {"Upload-Length": "How many bytes there are in all", "Upload-Metadata": "As it was sent"}

tus_routes = APIBlueprint("tus", __name__, tag="tus", url_prefix=PREFIX)


def _count(name: str) -> String:
    digits = Regexp(r"[0-9]{1,18}\Z", error="must be a number of bytes")
    return String(data_key=name, required=True, validate=digits)


class Versioned(Schema):
    version = String(data_key="Tus-Resumable", required=True, metadata={"description": VERSION})


class Creation(Versioned):
    length = _count("Upload-Length")
    metadata = String(
        data_key="Upload-Metadata",
        required=True,
        validate=Length(max=4_096),
        metadata={"description": "filename BASE64: the name the file is to have in the share"},
    )


class Append(Versioned):
    offset = _count("Upload-Offset")
    checksum = String(
        data_key="Upload-Checksum",
        load_default=None,
        metadata={"description": f"ALGORITHM BASE64; one of {', '.join(CHECKSUMS)}"},
    )


@tus_routes.before_request
def check_version() -> None:
    """Refuse another version of tus; OPTIONS is how one asks which."""
    if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
        raise Problem(412, "invalid", f"Tus-Resumable: must be {VERSION}", {"Tus-Version": VERSION})


@tus_routes.after_request
def say_version(response: Response) -> Response:
    """Every answer says the version, those of errors too, and none is to be kept."""
    response.headers["Tus-Resumable"] = VERSION
    response.headers["Cache-Control"] = "no-store"
    return response


@tus_routes.route("", methods=["OPTIONS"], provide_automatic_options=False)
@tus_routes.doc(hide=True)
def options() -> Response:
    """What this server can do."""
    return Response(status=204, headers=OPTIONS_HEADERS)


@tus_routes.post("")
@tus_routes.input(Creation, location="headers", arg_name="asked")
@tus_routes.doc(security="Bearer", responses=errors({**_ASKED, 400: "Upload-Metadata is malformed",
            413: "A file cannot be so large", 422: "A header is missing or wrong, or the name cannot be one",
            503: "The share cannot be written now", 507: "There is no room"}, {
    201: gives_headers("It has begun", {"Location": "The upload", **_TOLD}),
}))  # fmt: skip
def create(asked: dict[str, Any]) -> Response:
    """Begin an upload."""
    name = parse_metadata(asked["metadata"]).get("filename")
    if name is None:
        raise InvalidRequest("Upload-Metadata: must have a filename")
    made = _uploads().create(name, int(asked["length"]), _now(), asked["metadata"])
    return Response(status=201, headers={"Location": url_for("tus.append", upload_id=made.id), **_told(made)})


@tus_routes.route("/<upload_id>", methods=["HEAD"])
@tus_routes.doc(hide=True)
def look(upload_id: str) -> Response:
    """How far the upload is."""
    found = _uploads().find(upload_id, _now())
    headers = {"Upload-Length": str(found.size), "Upload-Metadata": found.metadata, **_told(found)}
    return Response(status=200, headers=headers)


@tus_routes.patch("/<upload_id>")
@tus_routes.input(Append, location="headers", arg_name="asked")
@tus_routes.doc(security="Bearer", responses=errors({**_ASKED,
            400: "Upload-Checksum is malformed or of another algorithm", 404: "No such upload",
            409: "The upload is at another offset", 413: "More than a PATCH can have, or than the upload has",
            415: f"The body is not {PATCH_MIMETYPE}", 423: "Another request is at work on it",
            460: "The checksum is wrong: nothing was kept", 503: "The share cannot be written now",
            507: "There is no room"}, {
    204: gives_headers("The bytes are taken", _TOLD),
}))  # fmt: skip
def append(upload_id: str, asked: dict[str, Any]) -> Response:
    """Send the bytes at an offset; the last ones put the file into the share."""
    if request.mimetype != PATCH_MIMETYPE:
        raise Problem(415, "invalid", f"Content-Type: must be {PATCH_MIMETYPE}")
    checksum = None if asked["checksum"] is None else parse_checksum(asked["checksum"])
    request.max_content_length = MAX_PATCH_BYTES
    body = request.get_data(cache=False)
    now_at = _uploads().append(upload_id, int(asked["offset"]), body, _now(), checksum)
    return Response(status=204, headers=_told(now_at))


@tus_routes.delete("/<upload_id>")
@tus_routes.input(Versioned, location="headers", arg_name="asked")
@tus_routes.doc(security="Bearer", responses=errors({**_ASKED, 404: "No such upload",
            423: "Another request is at work on it", 503: "The share is away"}, {
    204: {"description": "It is gone; a finished file stays in the share"},
}))  # fmt: skip
def terminate(upload_id: str, asked: dict[str, Any]) -> Response:
    """End the upload and forget its bytes."""
    _uploads().terminate(upload_id, _now())
    return Response(status=204)


# What APIFlask does not see: HEAD, OPTIONS, and a body that is not JSON.
TUS_OPERATIONS: dict[str, dict[str, Any]] = {
    PREFIX: {
        "options": {
            "summary": "What this server can do.",
            "tags": ["tus"],
            "security": [{"Bearer": []}],
            "responses": errors(_DENIED, {204: gives_headers("The headers say", OPTIONS_HEADERS)}),
        }
    },
    PREFIX + "/{upload_id}": {
        "head": {
            "summary": "How far the upload is.",
            "tags": ["tus"],
            "security": [{"Bearer": []}],
            "parameters": [
                {"in": "path", "name": "upload_id", "required": True, "schema": {"type": "string"}},
                {"in": "header", "name": "Tus-Resumable", "required": True, "schema": {"type": "string"}},
            ],
            "responses": errors({**_ASKED, 404: "No such upload", 503: "The share is away"},
                                {200: gives_headers("So far", {**_TOLD, **_LENGTHS})}),
        },
        "patch": {
            "requestBody": {
                "required": True,
                "content": {PATCH_MIMETYPE: {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    },
}  # fmt: skip


def _told(upload: UploadView) -> dict[str, str]:
    told = {"Upload-Offset": str(upload.offset), "Upload-Expires": http_date(upload.expires)}
    return told if upload.final_name is None else {**told, "P2P-Name": quote(upload.final_name)}


def _uploads() -> TusUploads:
    return cast(TusUploads, current_app.extensions["uploads"])


def _now() -> float:
    return cast(Callable[[], float], current_app.extensions["now"])()
