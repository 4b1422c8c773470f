"""The range arithmetic against a plain model of it: the bytes that a list would give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserver.api.ranges import Span, Unsatisfiable, content_range, covers, select

SIZES = st.integers(0, 1 << 45)
POSITIONS = st.integers(0, 1 << 46)


@given(SIZES, POSITIONS, POSITIONS)
def test_a_closed_range_is_cut_at_the_end_of_the_file(size: int, first: int, length: int) -> None:
    last = first + length
    if size == 0:
        assert select(f"bytes={first}-{last}", size) is None
    elif first >= size:
        with pytest.raises(Unsatisfiable):
            select(f"bytes={first}-{last}", size)
    else:
        assert select(f"bytes={first}-{last}", size) == Span(first, min(last, size - 1))


@given(st.binary(min_size=1, max_size=40), st.integers(0, 50), st.integers(1, 50))
def test_open_and_suffix_ranges_name_the_bytes_that_a_slice_would(data: bytes, first: int, suffix: int) -> None:
    span = select(f"bytes=-{suffix}", len(data))
    assert span is not None and data[span.first : span.last + 1] == data[-suffix:]
    assert span.length == len(data[-suffix:])
    if first < len(data):
        span = select(f"bytes={first}-", len(data))
        assert span is not None and data[span.first : span.last + 1] == data[first:]
    else:
        with pytest.raises(Unsatisfiable):
            select(f"bytes={first}-", len(data))


@given(st.text(max_size=30) | st.from_regex(r"bytes=[0-9,\- ]{0,12}", fullmatch=True), SIZES)
def test_no_header_gives_anything_but_a_span_inside_the_file(header: str, size: int) -> None:
    try:
        span = select(header, size)
    except Unsatisfiable:
        assert size > 0
        return
    assert span is None or 0 <= span.first <= span.last < size


@pytest.mark.parametrize(
    "header",
    [None, "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=0-1,3-4", "items=0-1", "bytes=+1-2",
     "bytes=1 -2", "bytes=--1", "bytes=١-٢", "bytes:0-1"],
)  # fmt: skip
def test_what_is_not_one_range_of_bytes_means_the_whole_file(header: str | None) -> None:
    assert select(header, 10) is None


@pytest.mark.parametrize(
    "header", ["bytes=0-1", "Bytes=0-1", "bytes= 0-1", "bytes=0-1,", "bytes=,\t0-1 ", "bytes=00-01"]
)
def test_the_spellings_that_the_grammar_allows(header: str) -> None:
    assert select(header, 10) == Span(0, 1)


def test_numbers_of_any_length_are_read_without_harm() -> None:
    assert select("bytes=3-" + "9" * 10_000, 10) == Span(3, 9)
    assert select("bytes=-" + "9" * 10_000, 10) == Span(0, 9)
    for beyond in ("bytes=" + "9" * 10_000 + "-", "bytes=-0", "bytes=10-"):
        with pytest.raises(Unsatisfiable):
            select(beyond, 10)


@given(st.binary(min_size=1, max_size=4), st.integers(1, 8), st.integers(0, 300), st.integers(0, 300))
def test_covers_asks_for_each_piece_that_the_span_touches(bits: bytes, piece: int, first: int, length: int) -> None:
    text = "".join(f"{byte:08b}" for byte in bits)
    span = Span(first, first + length)
    touched = {offset // piece for offset in range(span.first, span.last + 1)}
    assert covers(bits, piece, span) == all(index < len(text) and text[index] == "1" for index in touched)
    assert covers(None, piece, span)


def test_content_range() -> None:
    assert content_range(Span(0, 4), 10) == "bytes 0-4/10"
    assert content_range(None, 10) == "bytes */10"
