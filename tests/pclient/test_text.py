"""Words and numbers as a person reads them."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pclient import text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain name.txt", "plain name.txt"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("a\u202eexe.pdf", "a\\u202eexe.pdf"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("a\u200db", "a\\u200db"),  # a joiner next to ASCII only hides
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),  # in an emoji it belongs
        ("bad\udc80byte", "bad\\udc80byte"),
        ("日本 é ü", "日本 é ü"),
        ("\u2028", "\\u2028"),
    ],
)
def test_harmless(raw: str, shown: str) -> None:
    assert text.harmless(raw) == shown


@given(st.text(st.sampled_from("ab\\x1n\x1b\n")), st.text(st.sampled_from("ab\\x1n\x1b\n")))
def test_two_names_never_look_the_same(one: str, other: str) -> None:
    assert (text.name(one) == text.name(other)) == (one == other)


def test_a_backslash_is_told_apart_from_an_escape() -> None:
    assert text.name("a\\x1b") == "a\\\\x1b"
    assert text.name("a\x1b") == "a\\x1b"


@pytest.mark.parametrize("width", [10, 40, 60])
def test_lines_break_between_words(width: int) -> None:
    said = "error: 日本の歌 was not found, and 1234567 other things neither; see `transfers`"
    lines = text.wrapped(said, width, 2)
    assert max(map(text.cells, lines)) <= max(width, text.cells("  `transfers`"))
    assert all(line.startswith("  ") for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == said


def test_a_line_that_fits_stays_as_it_is() -> None:
    assert text.wrapped("  1  a  b", 80) == ["  1  a  b"]
    assert text.wrapped("", 80) == [""]
    assert text.wrapped("x" * 100, 80) == ["x" * 100]


@given(st.text(st.sampled_from("ab日本é🎵")), st.integers(3, 20))
def test_a_shortened_name_fits_and_keeps_both_ends(name: str, most: int) -> None:
    shown = text.shortened(name, most)
    assert text.cells(shown) <= most
    assert shown == name or ("…" in shown and name.startswith(shown.partition("…")[0]))
    assert shown == name or name.endswith(shown.partition("…")[2])


def test_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    assert text.local_time("2026-01-02T03:04:05Z") == "2026-01-02 04:04:05"
    assert text.local_time("yesterday") == "yesterday"
    monkeypatch.undo()
    time.tzset()


@given(st.text(st.characters()))
def test_harmless_never_acts_on_a_terminal(raw: str) -> None:
    shown = text.harmless(raw)
    allowed = {"\u200c", "\u200d"}
    assert not [c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c not in allowed]
    assert text.harmless(shown) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1048575, "1.0 MiB"),
        (3565158, "3.4 MiB"),
        (2**70, "1024.0 EiB"),
    ],
)
def test_size(count: int, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (360000, "4 d 4 h"), (-1, "0 s")],
)
def test_duration(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown
