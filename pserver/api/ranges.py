"""Which bytes of a file an HTTP request asks for (RFC 9110, section 14). Pure arithmetic: no I/O, no framework.

There are three cases: the whole file, one range of it, or a range that lies beyond it. A header that is malformed,
has another unit or more than one range is answered with the whole file, as the RFC allows; so is every range of an
empty file, which has no byte to name in a Content-Range.
"""

import re
from dataclasses import dataclass

_ONE = re.compile(r"([0-9]*)-([0-9]*)")
_BEYOND = 1 << 63  # past the end of every file; numbers longer than that need not be read


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes first..last of a file, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1


class Unsatisfiable(Exception):
    """The range lies beyond the end of the file."""


def select(header: str | None, size: int) -> Span | None:
    """The one span of a file of `size` bytes that a Range header asks for; None: the whole file.

    Raises Unsatisfiable.
    """
    wanted = _single(header)
    if wanted is None or size == 0:
        return None
    first, last = wanted
    if first is None:
        return _suffix(last or 0, size)
    if last is not None and last < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return Span(first, size - 1 if last is None else min(last, size - 1))


def covers(bitfield: bytes | None, piece_size: int, span: Span) -> bool:
    """Whether every piece that the span touches is there; bit 7 of byte 0 is piece 0, None means all pieces."""
    if bitfield is None:
        return True
    pieces = range(span.first // piece_size, span.last // piece_size + 1)
    return all(_has(bitfield, piece) for piece in pieces)


def content_range(span: Span | None, size: int) -> str:
    """The Content-Range of an answer with that span; of None, for a range that lies beyond the file."""
    return f"bytes */{size}" if span is None else f"bytes {span.first}-{span.last}/{size}"


def _single(header: str | None) -> tuple[int | None, int | None] | None:
    """The (first, last) as written of a header with exactly one well-formed range in bytes, else None."""
    unit, equals, listed = (header or "").partition("=")
    ranges = [part.strip(" \t") for part in listed.split(",") if part.strip(" \t")]
    if not equals or unit.strip(" \t").lower() != "bytes" or len(ranges) != 1:
        return None
    match = _ONE.fullmatch(ranges[0])
    if match is None or match.group(0) == "-":
        return None
    first, last = match.groups()
    return _number(first), _number(last)


def _suffix(length: int, size: int) -> Span:
    if length == 0:
        raise Unsatisfiable
    return Span(max(0, size - length), size - 1)


def _number(digits: str) -> int | None:
    if not digits:
        return None
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= 18 else _BEYOND


def _has(bitfield: bytes, piece: int) -> bool:
    return piece // 8 < len(bitfield) and bool(bitfield[piece // 8] & (0x80 >> piece % 8))
