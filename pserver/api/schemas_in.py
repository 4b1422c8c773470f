"""The shapes of the JSON and queries that come in: they are checked against these, and described by them.

Lookups and bundles of other peers are described here but checked by lookup_json.py and bundle_frames.py, which are
much faster on a large one.
"""

from collections.abc import Callable

from apiflask import Schema
from marshmallow import ValidationError
from marshmallow.fields import Boolean, Integer, List, Nested, String
from marshmallow.validate import Length, OneOf, Range, Regexp

from protos.addresses import check_url
from protos.links import MAX_LINK_SECONDS
from protos.names import check_name, check_prefix
from protos.tokens import MAX_TOKEN_CHARACTERS
from pserver.pieces import MAX_FILE_BYTES
from pserver.remote.bundle_frames import MAX_BUNDLE_FILES
from pserver.remote.lookup_json import (
    KINDS,
    MAX_DEADLINE_MS,
    MAX_HOLDERS,
    MAX_HOPS,
    MAX_PAGE_TOKEN_CHARACTERS,
    MAX_QUERIES,
    MAX_WORDS_CHARACTERS,
)

MAX_PAGE = 2_000
MAX_TARGETS = 64
MAX_CREDENTIAL = 1_024  # characters of a user or password; the locator knows what they may be


class _OfPeers(Schema):
    """JSON of another peer: members that nobody asks for are passed over, for a newer one may say more.

    The client API names them instead: there they are slips of the pen of whoever wrote the script.
    """

    class Meta:
        unknown = "exclude"


def _checked(check: Callable[[str], str]) -> Callable[[str], None]:
    """A marshmallow validator of a check that raises ValueError with a message for people."""

    def validate(value: str) -> None:
        try:
            check(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    return validate


def hex_digits(digits: int, required: bool = True) -> String:
    pattern = Regexp(rf"[0-9a-f]{{{digits}}}\Z", error=f"must be {digits} lower-case hex digits")
    return String(validate=pattern, required=required)


def _page_size() -> Integer:
    return Integer(load_default=0, validate=Range(0, MAX_PAGE), metadata={"description": "0: the usual size"})


def _page_token() -> String:
    return String(load_default="", validate=Length(max=MAX_PAGE_TOKEN_CHARACTERS))


def _text(default: str | None = None, most: int = 1_024) -> String:
    if default is None:
        return String(required=True, validate=Length(1, most))
    return String(load_default=default, validate=Length(max=most))


def _expires_seconds() -> Integer:
    return Integer(load_default=3600, validate=Range(1, MAX_LINK_SECONDS))


class PingQuery(Schema):
    nonce = String(required=True, validate=Regexp(r"[0-9a-fA-F]{16,64}\Z", error="must be 16 to 64 hex digits"))


class LookupQuery(Schema):
    name = String()
    file_id = hex_digits(64, required=False)
    sha256 = hex_digits(64, required=False)


class Lookup(Schema):
    kind = String(required=True, validate=OneOf(KINDS))
    query_id = hex_digits(32)
    hops = Integer(required=True, validate=Range(0, MAX_HOPS))
    deadline_ms = Integer(required=True, validate=Range(1, MAX_DEADLINE_MS))
    queries = List(Nested(LookupQuery), validate=Length(max=MAX_QUERIES))
    words = String(validate=Length(max=MAX_WORDS_CHARACTERS))
    peer_id = String()
    prefix = String()
    match = String()
    folder = String()
    page_size = Integer(validate=Range(0, MAX_PAGE))
    page_token = String()
    max_holders = Integer(validate=Range(0, MAX_HOLDERS))


class Bundle(_OfPeers):
    file_ids = List(hex_digits(64), required=True, validate=Length(1, MAX_BUNDLE_FILES))


class OfferIn(_OfPeers):
    file_id = hex_digits(64)
    size = Integer(required=True, strict=True, validate=Range(0, MAX_FILE_BYTES))
    name = String(required=True, validate=_checked(check_name))
    sha256 = hex_digits(64)
    url = String(required=True, validate=_checked(check_url))
    grant = String(
        load_default=None,
        allow_none=True,
        validate=Length(max=MAX_TOKEN_CHARACTERS),
        metadata={"description": "Of the locator, for the person in whose name it is offered; where accounts are on"},
    )


class SwarmIn(_OfPeers):
    url = String(required=True, validate=_checked(check_url))
    name = String(required=True, validate=Regexp(r"[^\x00-\x1f\x7f-\x9f]{1,64}\Z", error="must be a peer's name"))
    bitfield = String(required=True, validate=Length(max=200_000), metadata={"description": "BASE64, as P2P-Bitfield"})


class SearchQuery(Schema):
    words = _text(most=MAX_WORDS_CHARACTERS)
    page_size = Integer(load_default=0, validate=Range(0, 100))
    page_token = _page_token()


class WhatQuery(Schema):
    what = String(required=True, validate=Length(1, 1_100), metadata={"description": "NAME, id:HEX or sha256:HEX"})


class PeersQuery(Schema):
    match = _text("", 64)
    folder = String(load_default="", validate=_checked(check_prefix))
    page_token = _page_token()


class FilesQuery(Schema):
    prefix = String(load_default="", validate=_checked(check_prefix))
    page_size = _page_size()
    page_token = _page_token()


class TransferQuery(Schema):
    items_from = Integer(load_default=0, validate=Range(0, 1_000_000_000))


class DownloadIn(Schema):
    what = String(required=True, validate=Length(1, 1_100))
    as_name = String(data_key="as", load_default=None, allow_none=True, validate=_checked(check_name))
    from_peer = String(data_key="from", load_default=None, allow_none=True, validate=Length(1, 64))
    choose = String(load_default=None, allow_none=True, validate=OneOf(["most"]))


class LinkIn(Schema):
    what = String(required=True, validate=Length(1, 1_100), metadata={"description": "NAME, id:HEX or sha256:HEX"})
    expires_seconds = _expires_seconds()
    choose = String(load_default=None, allow_none=True, validate=OneOf(["most"]))


class LinkedQuery(Schema):
    expires_seconds = _expires_seconds()


class UploadIn(Schema):
    name = String(required=True, validate=_checked(check_name))
    to = List(String(validate=Length(1, 64)), load_default=list, validate=Length(max=MAX_TARGETS))
    replicas = Integer(load_default=None, allow_none=True, strict=True, validate=Range(1, MAX_TARGETS))


class LoginIn(Schema):
    user = _text(most=MAX_CREDENTIAL)
    password = _text(most=MAX_CREDENTIAL)


class LogoutIn(Schema):
    everywhere = Boolean(load_default=False, truthy={True}, falsy={False})


class PasswordIn(Schema):
    old = _text(most=MAX_CREDENTIAL)
    new = _text(most=MAX_CREDENTIAL)


class DropIn(Schema):
    what = String(required=True, validate=Length(1, 1_100), metadata={"description": "NAME or id:HEX"})


class RemoveQuery(Schema):
    everywhere = Boolean(load_default=False, truthy={"1", "true"}, falsy={"0", "false"})
