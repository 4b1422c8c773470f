"""Page tokens: where the next page begins, and a digest of the request that may ask for it.

A token is not secret and not trusted: what it says is checked like any other input.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence

from google.protobuf.message import Message

from central_server.model import InvalidRequest

_MOST_CHARACTERS = 2048  # the longest name, in JSON and base64
Cursor = Sequence[str | int]


def page_token(request: Message, cursor: Cursor | None) -> str:
    """The token of the page that begins behind `cursor`; "" for None."""
    if cursor is None:
        return ""
    return base64.urlsafe_b64encode(json.dumps([_digest(request), *cursor], ensure_ascii=False).encode()).decode()


def cursor_of(request: Message, token: str, first: Cursor) -> list[str | int]:
    """Where the page of `token` begins: a list of the types that `first`, the beginning of all, has.

    InvalidRequest: it is no token, or one of another request.
    """
    if not token:
        return list(first)
    cursor: list[str | int]
    try:
        digest, *cursor = json.loads(base64.urlsafe_b64decode(token[:_MOST_CHARACTERS]))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise InvalidRequest(why="the page token is malformed") from None
    if digest != _digest(request) or [type(part) for part in cursor] != [type(part) for part in first]:
        raise InvalidRequest(why="the page token belongs to another request")
    if any(isinstance(part, int) and not 0 <= part < 2**63 for part in cursor):
        raise InvalidRequest(why="the page token is malformed")
    return cursor


def _digest(request: Message) -> str:
    """Of everything but where the page begins and how long it is."""
    plain = type(request)()
    plain.CopyFrom(request)
    for name in ("page_token", "page_size"):
        plain.ClearField(name)
    named = type(request).__name__.encode() + plain.SerializeToString(deterministic=True)
    return hashlib.blake2b(named, digest_size=9).hexdigest()
