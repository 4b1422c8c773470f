"""A file as a `.torrent` (BEP 3, version 1) whose only sources are the holders as web seeds (BEP 19). Pure.

It is private and names no tracker: its clients fetch from the holders, and do not look for others of the swarm.
"""

from collections.abc import Mapping, Sequence

from protos.links import link_url
from pserver.digests import Digests, Offered

MIMETYPE = "application/x-bittorrent"
Bencodable = int | bytes | Sequence["Bencodable"] | Mapping[bytes, "Bencodable"]


def torrent(offered: Offered, digests: Digests, token: str, program: str) -> bytes:
    """The document, with that link's token in the web seeds' URLs. `program`: what made it, "name/version"."""
    info: Bencodable = {
        b"length": offered.size,
        b"name": offered.name.rpartition("/")[2].encode(),
        b"piece length": digests.piece_size,
        b"pieces": digests.sha1_pieces,
        b"private": 1,
    }
    seeds = [link_url(base, token, offered.name).encode() for base in offered.holders]
    return bencoded({b"created by": program.encode(), b"info": info, b"url-list": seeds})


def bencoded(value: Bencodable) -> bytes:
    """BEP 3: integers, byte strings, lists, and dictionaries with their keys in order."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, Mapping):
        return b"d" + b"".join(bencoded(key) + bencoded(value[key]) for key in sorted(value)) + b"e"
    return b"l" + b"".join(map(bencoded, value)) + b"e"
