"""A file as a Metalink document (RFC 5854, `.meta4`): its size, its hashes, and everywhere it can be fetched. Pure."""

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from protos.links import link_url
from pserver.digests import SHA256_BYTES, Digests, Offered

MIMETYPE = "application/metalink4+xml"
_NAMESPACE = "urn:ietf:params:xml:ns:metalink"
_NOT_XML = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF), "_")  # XML 1.0, section 2.2


def metalink(offered: Offered, digests: Digests, token: str, program: str) -> bytes:
    """The document, with that link's token in the URLs. `program`: its generator, "name/version"."""
    return "\n".join(_lines(offered, digests, token, program)).encode()


def _lines(offered: Offered, digests: Digests, token: str, program: str) -> Iterable[str]:
    name = offered.name.rpartition("/")[2].translate(_NOT_XML)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<metalink xmlns="{_NAMESPACE}">'
    yield f"  <generator>{escape(program)}</generator>"
    yield f"  <file name={quoteattr(name)}>"
    yield f"    <size>{offered.size}</size>"
    yield f'    <hash type="sha-256">{digests.sha256.hex()}</hash>'
    yield from _pieces(digests)
    for base in offered.holders:
        yield f"    <url>{escape(link_url(base, token, offered.name))}</url>"
    yield "  </file>"
    yield "</metalink>\n"


def _pieces(digests: Digests) -> Iterable[str]:
    if not digests.sha256_pieces:  # an empty file; the element may not be empty
        return
    yield f'    <pieces length="{digests.piece_size}" type="sha-256">'
    for start in range(0, len(digests.sha256_pieces), SHA256_BYTES):
        yield f"      <hash>{digests.sha256_pieces[start : start + SHA256_BYTES].hex()}</hash>"
    yield "    </pieces>"
