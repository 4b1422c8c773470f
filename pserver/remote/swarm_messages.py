"""What peers that fetch one file tell each other about pieces: the headers of a range request, the news of a swarm."""

import base64
import re
from dataclasses import dataclass

from pserver.model import InvalidRequest, Peer
from pserver.pieces import MAX_FILE_BYTES, Want
from pserver.remote.json_fields import Fields

MOST_OTHERS = 32
_MAX_BITFIELD_CHARACTERS = 200_000  # of 1 Mi pieces
_MOST_TOLD_BYTES = 1024  # a longer bitfield does not fit well into a header: it is told in the news only
_MAX_WANT_CHARACTERS = 8192
_WANT = re.compile(r"([1-9][0-9]{0,7}) ([0-9]{1,8}) ([A-Za-z0-9+/=]+)\Z")
_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/[0-9]{1,15}\Z")


@dataclass(frozen=True, slots=True)
class SwarmNews:
    """What a peer told: the pieces (packed) that it has, None: all; who fetches the file from it, and their pieces.

    `more`: others do too, and will be told of once their addresses are proved.
    """

    has: bytes | None
    others: list[tuple[Peer, bytes]]
    more: bool = False


def want_headers(want: Want) -> dict[str, str]:
    """The headers that say it."""
    said = {"P2P-Want": f"{want.most} {want.first} {base64.b64encode(want.choices).decode()}"}
    if want.has is not None and len(want.has) <= _MOST_TOLD_BYTES:
        said["P2P-Bitfield"] = base64.b64encode(want.has).decode()
    return said


def want_from_headers(want: str, has: str | None) -> Want:
    """What P2P-Want and P2P-Bitfield say. InvalidRequest."""
    match = _WANT.match(want) if len(want) <= _MAX_WANT_CHARACTERS else None
    if match is None or int(match[2]) % 8:
        raise InvalidRequest("P2P-Want: must be how many pieces at most, a piece (a multiple of 8), and base64")
    has_too = None if has is None else _decoded("P2P-Bitfield", has)
    return Want(int(match[2]), _decoded("P2P-Want", match[3]), int(match[1]), has_too)


def sent_range(content_range: str) -> tuple[int, int] | None:
    """The (offset, length) that a Content-Range names."""
    match = _RANGE.match(content_range)
    if match is None:
        return None
    first, last = int(match[1]), int(match[2])
    return (first, last + 1 - first) if first <= last < MAX_FILE_BYTES else None


def news_to_json(news: SwarmNews) -> dict[str, object]:
    """The news as they travel."""
    return {
        "bitfield": None if news.has is None else base64.b64encode(news.has).decode(),
        "peers": [
            {
                "peer": {"peer_id": peer.peer_id, "name": peer.name, "url": peer.url},
                "bitfield": base64.b64encode(has).decode(),
            }
            for peer, has in news.others
        ],
        "more": news.more,
    }


def news_from_json(said: object) -> SwarmNews:
    """The news that came. InvalidRequest."""
    fields = Fields(said, "")
    has = _bitfield(fields) if fields.has("bitfield") else None
    return SwarmNews(has, fields.listing("peers", MOST_OTHERS, _other), fields.flag("more", False))


def _other(value: object, where: str) -> tuple[Peer, bytes]:
    fields = Fields(value, where)
    return fields.peer("peer"), _bitfield(fields)


def bitfield_from_text(text: str) -> bytes:
    """The packed bitfield in base64. InvalidRequest."""
    return _decoded("bitfield", text)


def _bitfield(fields: Fields) -> bytes:
    return bitfield_from_text(fields.text("bitfield", _MAX_BITFIELD_CHARACTERS))


def _decoded(what: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidRequest(f"{what}: must be base64") from None
