"""Signed links: what a URL carries so that a tool which knows nothing of us may fetch one file, from any holder.

A link's token is a JWT of a type of its own, signed like a peer's token (see tokens.py) and with the same proof of
admission, so that every member can check it alone. It names its issuer and one file, and ends after seven days at the
latest. It has no audience, since any holder may serve it, and no scope: it is good for GET and HEAD of that file and
of the documents about it, and for nothing else. A peer's token is no link, and a link is no peer's token.

The token stands in the path, `/peer/v1/links/TOKEN/FORM/NAME`, and not in a query: libtorrent refuses a web seed with
a query on a private address, and wget would make the query a part of the file's name. NAME only tells tools what to
call what they save. Whoever has a link has what it opens until it ends: it is never logged (`hide`).
"""

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from protos.tokens import LEEWAY_SECONDS, InvalidToken, Issuer, check_admission, keep, verified

MAX_LINK_SECONDS = 7 * 24 * 3600
PATH = "/peer/v1/links/"
Form = Literal["file", "meta4", "torrent"]  # the bytes, or a document about them
_TYPE = "p2p-link+jwt"
_FILE_ID = re.compile(r"[0-9a-f]{64}")
_IN_PATH = re.compile(re.escape(PATH) + r"[^/\s]+")
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]+")  # a JWT, wherever a hasty hand put it


@dataclass(frozen=True, slots=True)
class Link:
    """What a checked link says: the peer that made it and the file it opens (64 hex digits each); Unix time."""

    issuer: str
    file_id: str
    expires: float


def make_link(issuer: Issuer, file_id: str, now: float, seconds: int) -> str:
    """The token of a link to that file (64 hex digits), good for `seconds` from `now` (Unix time) on.

    ValueError unless that is 1 s to 7 days.
    """
    if not 1 <= seconds <= MAX_LINK_SECONDS:
        raise ValueError("a link is good for 1 second to 7 days")
    return issuer.sign({"fid": file_id, "iat": int(now), "exp": int(now) + seconds}, _TYPE)


def link_url(base: str, token: str, name: str, form: Form = "file") -> str:
    """The URL of a link at the holder whose peer API is at `base`; a tool saves what it gets under NAME's last part."""
    ending = "" if form == "file" else f".{form}"
    return f"{base}{PATH}{token}/{form}/{quote(name.rpartition('/')[2] + ending, safe='')}"


def hide(text: str) -> str:
    """`text` as it may be logged: without the tokens of links, in their place or in any other."""
    return _TOKEN.sub("...", _IN_PATH.sub(f"{PATH}...", text))


class LinkVerifier:
    """Checks links of one network. Thread-safe; remembers those whose signature was right."""

    def __init__(self, network_key: bytes | None) -> None:
        self._network_key = network_key
        self._good: OrderedDict[str, Link] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, token: str, now: float) -> Link:
        """What the link says, if it is valid at `now` (Unix time); else InvalidToken."""
        link = self._good.get(token)
        if link is None:
            link = verified(token, _TYPE, lambda payload, issuer: self._read(payload, issuer, now))
            with self._lock:
                keep(self._good, token, link)
        if link.expires + LEEWAY_SECONDS <= now:
            raise InvalidToken("the link has expired")
        return link

    def _read(self, payload: dict[str, object], issuer: str, now: float) -> Link:
        issued, expires, file_id = payload["iat"], payload["exp"], payload["fid"]
        if type(issued) is not int or type(expires) is not int:  # a bool is an int too
            raise InvalidToken("the link's times are malformed")
        if expires - issued > MAX_LINK_SECONDS or issued - LEEWAY_SECONDS > now:
            raise InvalidToken("the link's times are not allowed; is the clock right?")
        if not isinstance(file_id, str) or not _FILE_ID.fullmatch(file_id):
            raise InvalidToken("the link names no file")
        check_admission(payload, issuer, self._network_key)
        return Link(issuer, file_id, float(expires))
