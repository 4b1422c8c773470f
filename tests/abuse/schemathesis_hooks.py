"""What schemathesis needs to be let in: loaded by its process (SCHEMATHESIS_HOOKS), and no test by itself.

Each request gets the token that its route wants, and half of the ids in paths become ids that exist, for otherwise
nearly every answer would be "not found". What to use comes in FUZZ_ACCESS, as JSON (see test_documented_answers.py).
"""

import atexit
import json
import os
import random
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.links import make_link
from protos.tokens import Issuer
from pserver.api.peer_api import SCOPES

ACCESS = json.loads(os.environ["FUZZ_ACCESS"])
_CHOICE = random.Random(ACCESS["seed"])
# What these say of a message is for the HTTP server alone, which refuses it in plain text before there is a route.
FRAMING = {"content-length", "transfer-encoding", "connection", "host", "expect", "upgrade", "te", "trailer"}
# As Flask names them: the part of an endpoint behind "peer." is what its operation is about.
_SCOPE_OF = [
    (re.compile(r"/peer/v1/ping$"), SCOPES["peer.ping"]),
    (re.compile(r"/peer/v1/lookups$"), SCOPES["peer.lookups"]),
    (re.compile(r"/peer/v1/bundles$"), SCOPES["peer.bundles"]),
    (re.compile(r"/peer/v1/offers"), SCOPES["peer.offers"]),
    (re.compile(r"/peer/v1/"), SCOPES["peer.file"]),
]


def _issuer() -> Issuer | None:
    if "key" not in ACCESS:
        return None
    key = serialization.load_pem_private_key(Path(ACCESS["key"]).read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return Issuer(key, ACCESS["network_key"].encode())


ISSUER = _issuer()


@schemathesis.serializer("application/offset+octet-stream")
def _bytes_of(context: Any, value: Any) -> bytes:  # Any: schemathesis's own types
    """The body of a PATCH of tus."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Put in values that exist, then the token that fits; now and then leave what was made up."""
    case.headers = {name: value for name, value in (case.headers or {}).items() if name.lower() not in FRAMING}
    for values in (case.path_parameters, case.query, case.body, case.headers):
        if isinstance(values, dict):
            _make_known(values, case.headers)
    if case.method == "DELETE" and (case.path_parameters or {}).get("name") in ACCESS["known"]["name"]:
        case.path_parameters["name"] = _CHOICE.choice(ACCESS["known"]["doomed"])
    if ISSUER is not None and "link" in (case.path_parameters or {}) and _CHOICE.random() < 0.8:
        file_id = _CHOICE.choice(ACCESS["known"]["file_id"])
        case.path_parameters["link"] = make_link(ISSUER, file_id, time.time(), 3600)
    token = _token(case)
    if token is not None and _CHOICE.random() < 0.9:
        case.headers["Authorization"] = f"Bearer {token}"


def _make_known(values: dict[str, Any], headers: dict[str, Any]) -> None:
    for name in values.keys() & ACCESS["known"].keys():
        known = _CHOICE.choice(ACCESS["known"][name])
        # A made-up header may be called as a member of a body is: those have lists too.
        if _CHOICE.random() < 0.7 and (values is not headers or isinstance(known, str)):
            values[name] = known


def _token(case: Any) -> str | None:
    if ISSUER is None:
        given: str | None = ACCESS.get("token")
        return given
    scope = next((scope for path, scope in _SCOPE_OF if path.match(case.path)), None)
    if scope is None:
        return None
    file_id = (case.path_parameters or {}).get("file_id")
    return ISSUER.token(ACCESS["audience"], scope, time.time(), None if file_id is None else str(file_id))


_SEEN: Counter[str] = Counter()


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count what came of each operation, for the test to see that it was reached; remember what was made."""
    if response.status_code == 201 and "location" in response.headers:
        made = response.headers["location"][0].rpartition("/")[2]
        ACCESS["known"].setdefault("upload_id", []).append(made)
    if response.status_code == 202 and case.operation.path in {"/client/v1/downloads", "/client/v1/uploads"}:
        ACCESS["known"].setdefault("transfer_id", []).append(response.json()["id"])
    _SEEN[f"{case.method} {case.operation.path} {response.status_code}"] += 1


@atexit.register
def _tell() -> None:
    Path(ACCESS["seen"]).write_text(json.dumps(_SEEN))
