"""Words and numbers as a person reads them."""

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
