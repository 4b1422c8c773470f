"""What a file may be called: the rule stated a second time, and both held against each other."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protos.names import MAX_COMPONENT_BYTES, MAX_NAME_BYTES, InvalidName, check_name, check_prefix

AWKWARD = st.text(st.sampled_from("ab./\0\n é\u0301e\u212bあ\U0001f600\ud800"), max_size=12)


def is_legal(name: str) -> bool:
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return False
    parts = encoded.split(b"/")
    return (
        0 < len(encoded) <= MAX_NAME_BYTES
        and b"\0" not in encoded
        and all(0 < len(part) <= MAX_COMPONENT_BYTES and not part.startswith(b".") for part in parts)
        and unicodedata.normalize("NFC", name) == name
    )


@given(st.one_of(AWKWARD, st.text(max_size=300)))
@example("a" * 255)
@example("é" * 128)
@example("/".join(["a" * 204] * 5))
@example("/".join(["a" * 204] * 5) + "b")
def test_a_name_is_taken_just_when_it_is_legal(name: str) -> None:
    if is_legal(name):
        assert check_name(name) == name
    else:
        with pytest.raises(InvalidName):
            check_name(name)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "empty"),
        ("/etc/passwd", "relative"),
        ("..", "'..'"),
        ("a/../b", "'..'"),
        ("./a", "'.'"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("a\0b", "NUL"),
        (".profile", "hidden"),
        ("a/.git/config", "hidden"),
        ("x" * 256, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("a/" * 512 + "b", "1024"),
        ("e\u0301", "normal form C"),
        ("\udcff", "UTF-8"),
    ],
)
def test_the_message_says_why(name: str, word: str) -> None:
    with pytest.raises(InvalidName, match=word):
        check_name(name)


@pytest.mark.parametrize(
    "name", ["a", "A/a", "a b/c\nd", "x" * 255, "é" * 127, "CON", "a\\b", "-rf", "\u202etxt.exe", "あ/😀"]
)
def test_strange_names_are_names(name: str) -> None:
    assert check_name(name) == name


@given(st.text(st.sampled_from("ab/é"), min_size=1, max_size=8).filter(is_legal), st.integers(1, 8))
def test_every_beginning_of_a_name_is_a_prefix(name: str, length: int) -> None:
    assert check_prefix(name[:length]) == name[:length]


def test_prefixes() -> None:
    assert check_prefix("") == ""
    for prefix in ("/", "//", "../", ".git/", "a//", "e\u0301"):
        with pytest.raises(InvalidName):
            check_prefix(prefix)
