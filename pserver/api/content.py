"""The bytes of a file as an HTTP answer: conditions, one range, the headers that describe the file (RFC 9110).

The bytes themselves never pass through here: the opened file, positioned, goes to the server's wsgi.file_wrapper,
which sends Content-Length bytes of it and asks `still_same()` before the last of them.
"""

import base64
import io
import os
from collections.abc import Sequence
from contextlib import ExitStack
from urllib.parse import quote

from flask import Response, request
from werkzeug.wsgi import wrap_file

from pserver.api.problems import Problem
from pserver.api.ranges import Span, Unsatisfiable, content_range, covers, select
from pserver.api.verbs import OpenedFile, SharedBytes
from pserver.pieces import Want, piece_size_for
from pserver.remote.swarm_messages import want_from_headers

BYTES_MIMETYPE = "application/octet-stream"
READ_BYTES = 256 * 1024
_MOST_PARTS = 1000  # of one writev: the kernel takes 1,024
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$&+-.^_`|~()[]{}@,=")
_ATTRIBUTE = "!#$&+-.^_`|~"  # what RFC 8187 lets stand unquoted, beside letters and digits


def wanted() -> Want | None:
    """The pieces of which this GET lets us choose one; None: it asks for what its Range says. InvalidRequest."""
    want = request.headers.get("P2P-Want")
    if want is None or request.method != "GET":
        return None
    return want_from_headers(want, request.headers.get("P2P-Bitfield"))


def send_pieces(opened: OpenedFile, pieces: range | None) -> Response:
    """The answer to a GET that let us choose: those pieces; None: we have none of those it wants."""
    with ExitStack() as stack:
        stack.callback(opened.file.close)
        if pieces is None:
            raise Problem(404, "no-piece", "this peer has none of those pieces", bitfield_header(opened.bitfield))
        span = chosen_span(opened, pieces)
        stack.pop_all()
        return _stream(opened.file, span, 206, pieces_headers(opened, span))


def chosen_span(opened: OpenedFile, pieces: range) -> Span:
    """Where those pieces lie in the file."""
    size = piece_size_for(opened.size)
    return Span(pieces.start * size, min(pieces.stop * size, opened.size) - 1)


def pieces_headers(opened: OpenedFile, span: Span) -> dict[str, str]:
    """What the answer with pieces that we chose says of them."""
    return {
        "ETag": f'"{opened.file_id.hex()}"',
        "Content-Range": content_range(span, opened.size),
        "Content-Length": str(span.length),
        **bitfield_header(opened.bitfield),
    }


def send(opened: OpenedFile) -> Response:
    """The answer to this GET or HEAD of that file; it closes the file, now or when the last byte has gone."""
    with ExitStack() as stack:
        stack.callback(opened.file.close)
        headers = _headers(opened)
        if _is_known(headers["ETag"]):
            return Response(status=304, headers={"ETag": headers["ETag"]})
        span = _span(opened, headers["ETag"])
        whole = Span(0, opened.size - 1)
        _refuse_lacking(opened, span or whole)
        if span is not None:
            headers["Content-Range"] = content_range(span, opened.size)
        headers["Content-Length"] = str((span or whole).length)
        status = 200 if span is None else 206
        if request.method == "HEAD":
            return Response(status=status, headers=headers, mimetype=BYTES_MIMETYPE)
        stack.pop_all()
        return _stream(opened.file, span or whole, status, headers)


def send_parts(name: str, parts: Sequence[bytes]) -> Response:
    """These bytes as an answer. They go the way of files: paced as those are, and without holding a thread."""
    made = io.FileIO(os.memfd_create(name), "r+b")
    try:
        length = sum(os.writev(made.fileno(), parts[at : at + _MOST_PARTS]) for at in range(0, len(parts), _MOST_PARTS))
        made.seek(0)
        body = wrap_file(request.environ, made, READ_BYTES)
    except BaseException:
        made.close()
        raise
    headers = {"Content-Length": str(length)}
    return Response(body, headers=headers, mimetype=BYTES_MIMETYPE, direct_passthrough=True)


class Bounded:
    """A span of a file, as a file: `read` ends where the span does, whichever server does the reading."""

    def __init__(self, file: SharedBytes, span: Span) -> None:
        self._file = file
        self._left = span.length
        self.fileno = file.fileno
        self.seek = file.seek
        self.tell = file.tell
        self.close = file.close
        self.still_same = file.still_same
        file.seek(span.first)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes of what is left of the span."""
        found = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(found)
        return found


def bitfield_header(bitfield: bytes | None) -> dict[str, str]:
    """P2P-Bitfield of a file of which not all pieces are there."""
    return {} if bitfield is None else {"P2P-Bitfield": base64.b64encode(bitfield).decode()}


def disposition(name: str) -> str:
    """Content-Disposition to save a file under the last part of `name` (RFC 6266, RFC 8187)."""
    last = name.rpartition("/")[2]
    plain = "".join(character if character in _PLAIN else "_" for character in last)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(last, safe=_ATTRIBUTE)}"


def _headers(opened: OpenedFile) -> dict[str, str]:
    headers = {
        "ETag": f'"{opened.file_id.hex()}"',
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(opened.name),
        **bitfield_header(opened.bitfield),
    }
    if opened.sha256 is not None:
        digest = base64.b64encode(opened.sha256).decode()
        headers["Repr-Digest"] = f"sha-256=:{digest}:"  # RFC 9530
        headers["Digest"] = f"sha-256={digest}"  # RFC 3230, for tools that know only the older one
    return headers


def _is_known(etag: str) -> bool:
    """Whether the asker has these bytes already. Raises Problem if it wants only others."""
    plain = etag.strip('"')
    if request.if_match and not request.if_match.contains(plain):
        raise Problem(412, "changed", "the file is not the one that If-Match names")
    return bool(request.if_none_match) and request.if_none_match.contains_weak(plain)


def _span(opened: OpenedFile, etag: str) -> Span | None:
    """The span asked for; None: the whole file. Only GET knows ranges, and only of the file that If-Range names."""
    condition = request.headers.get("If-Range")
    if request.method != "GET" or (condition is not None and condition.strip() != etag):
        return None
    try:
        return select(request.headers.get("Range"), opened.size)
    except Unsatisfiable:
        headers = {"Content-Range": content_range(None, opened.size), "Accept-Ranges": "bytes"}
        raise Problem(416, "invalid", f"the range lies beyond the file's {opened.size} bytes", headers) from None


def _refuse_lacking(opened: OpenedFile, span: Span) -> None:
    if span.length > 0 and not covers(opened.bitfield, piece_size_for(opened.size), span):
        raise Problem(404, "no-piece", "this peer lacks a piece of that range", bitfield_header(opened.bitfield))


def _stream(file: SharedBytes, span: Span, status: int, headers: dict[str, str]) -> Response:
    body = wrap_file(request.environ, Bounded(file, span), READ_BYTES)  # type: ignore[arg-type]  # it wants an IO
    return Response(body, status, headers, mimetype=BYTES_MIMETYPE, direct_passthrough=True)
